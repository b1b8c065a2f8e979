-- The entries of the field that orders ($3 to $4) drive, in the order of their index; the filter is looked at in the rows.
select stored.key, stored.row, stored.stamp, stored.version, candidate.entry
from comby.row_entries as candidate
cross join lateral (
  select * from comby.rows where model = $1 and tenant_id = $2 and rows.key = candidate.key offset 0
) as stored
where candidate.model = $1 and candidate.tenant_id = $2 and candidate.entry >= $3 and candidate.entry < $4
  and ($6::text is null or (candidate.entry, candidate.key) > ($5, $6))
  and comby.entries_of(stored.entries) @> $7::text[]
order by candidate.entry, candidate.key
limit $8
