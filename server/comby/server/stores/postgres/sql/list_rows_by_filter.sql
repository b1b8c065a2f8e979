-- One entry of the filter drives; the order by key is that of its index.
select stored.key, stored.row, stored.stamp, stored.version, '' as entry
from comby.row_entries as candidate
cross join lateral (
  select * from comby.rows where model = $1 and tenant_id = $2 and rows.key = candidate.key offset 0
) as stored
where candidate.model = $1 and candidate.tenant_id = $2 and candidate.entry = $3
  and ($4::text is null or candidate.key > $4)
  and comby.entries_of(stored.entries) @> $5::text[]
order by candidate.key
limit $6
