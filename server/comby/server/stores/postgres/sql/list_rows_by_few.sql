-- A selective entry of the filter ($3) drives, and its few rows are sorted by their entries of the field that orders ($4 to $5).
select stored.key, stored.row, stored.stamp, stored.version, listed.entry
from (
  select candidate.key, ordering.entry
  from comby.row_entries as candidate
  cross join lateral (
    select * from comby.rows where model = $1 and tenant_id = $2 and rows.key = candidate.key offset 0
  ) as stored
  cross join lateral unnest(comby.entries_of(stored.entries)) as ordering (entry)
  where candidate.model = $1 and candidate.tenant_id = $2 and candidate.entry = $3
    and ordering.entry >= $4 and ordering.entry < $5 and comby.entries_of(stored.entries) @> $8::text[]
    and ($7::text is null or (ordering.entry, candidate.key) > ($6, $7))
  order by ordering.entry, candidate.key
  limit $9
) as listed
cross join lateral (
  select * from comby.rows where model = $1 and tenant_id = $2 and rows.key = listed.key offset 0
) as stored
order by listed.entry, listed.key
