select wanted.tenant_id, entry.key, entry.row, entry.stamp, entry.version
from (select distinct * from unnest($2::text[], $3::text[]) as given (tenant_id, key)) as wanted
cross join lateral (
  select * from comby.rows where model = $1 and rows.tenant_id = wanted.tenant_id and rows.key = wanted.key offset 0
) as entry
