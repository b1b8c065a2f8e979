-- One field of the filter drives; the order by key is that of its index.
select entry.key, entry.row, entry.stamp, entry.version, '' as value
from comby.row_fields as candidate
cross join lateral (
  select * from comby.rows where model = $1 and tenant_id = $2 and rows.key = candidate.key offset 0
) as entry
where candidate.model = $1 and candidate.tenant_id = $2 and candidate.field = $3 and candidate.value = $4
  and ($5::text is null or candidate.key > $5)
  and entry.fields @> $6::jsonb
order by candidate.key
limit $7
