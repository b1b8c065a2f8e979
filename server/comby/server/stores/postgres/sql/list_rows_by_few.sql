-- A selective field of the filter drives, and its few rows are sorted.
select entry.key, entry.row, entry.stamp, entry.version, listed.value
from (
  select candidate.key, (entry.fields ->> $5) collate "C" as value
  from comby.row_fields as candidate
  cross join lateral (
    select * from comby.rows where model = $1 and tenant_id = $2 and rows.key = candidate.key offset 0
  ) as entry
  where candidate.model = $1 and candidate.tenant_id = $2 and candidate.field = $3 and candidate.value = $4
    and entry.fields @> $8::jsonb and entry.fields ->> $5 is not null
    and ($7::text is null or ((entry.fields ->> $5) collate "C", candidate.key) > ($6, $7))
  order by value, candidate.key
  limit $9
) as listed
cross join lateral (
  select * from comby.rows where model = $1 and tenant_id = $2 and rows.key = listed.key offset 0
) as entry
order by listed.value, listed.key
