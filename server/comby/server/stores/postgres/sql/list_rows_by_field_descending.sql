-- The field that orders drives, in the order of its index; the filter is looked at in the rows.
select entry.key, entry.row, entry.stamp, entry.version, candidate.value
from comby.row_fields as candidate
cross join lateral (
  select * from comby.rows where model = $1 and tenant_id = $2 and rows.key = candidate.key offset 0
) as entry
where candidate.model = $1 and candidate.tenant_id = $2 and candidate.field = $3
  and ($5::text is null or (candidate.value, candidate.key) < ($4, $5))
  and entry.fields @> $6::jsonb
order by candidate.value desc, candidate.key desc
limit $7
