select entry.tenant_id, entry.request_id
from (select distinct * from unnest($1::text[], $2::text[]) as given (tenant_id, request_id)) as wanted
cross join lateral (
  select * from comby.commands
  where commands.tenant_id = wanted.tenant_id and commands.request_id = wanted.request_id
  offset 0
) as entry
where entry.status <> 'accepted'
