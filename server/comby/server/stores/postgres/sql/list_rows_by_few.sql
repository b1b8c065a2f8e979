-- A selective field of the filter drives, and its few rows are sorted.
select entry.key, entry.row, entry.stamp, entry.version, listed.value
from (
  select candidate.key, (entry.fields ->> $5) collate "C" as value
  from comby.row_fields as candidate
  join comby.rows as entry using (model, tenant_id, key)
  where candidate.model = $1 and candidate.tenant_id = $2 and candidate.field = $3 and candidate.value = $4
    and entry.fields @> $8::jsonb and entry.fields ->> $5 is not null
    and ($7::text is null or ((entry.fields ->> $5) collate "C", candidate.key) > ($6, $7))
  order by value, candidate.key
  limit $9
) as listed
join comby.rows as entry on entry.model = $1 and entry.tenant_id = $2 and entry.key = listed.key
order by listed.value, listed.key
