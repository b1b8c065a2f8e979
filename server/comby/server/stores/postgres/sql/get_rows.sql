select wanted.tenant_id, entry.key, entry.row, entry.stamp, entry.version
from (select distinct * from unnest($2::text[], $3::text[]) as given (tenant_id, key)) as wanted
join comby.rows as entry on entry.model = $1 and entry.tenant_id = wanted.tenant_id and entry.key = wanted.key
