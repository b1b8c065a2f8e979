select entry.tenant_id, entry.request_id
from (select distinct * from unnest($1::text[], $2::text[]) as given (tenant_id, request_id)) as wanted
join comby.commands as entry using (tenant_id, request_id)
where entry.status <> 'accepted'
