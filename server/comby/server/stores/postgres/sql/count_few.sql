-- The most selective entry of a filter, and how many rows it leaves, counted up to a few.
select wanted.entry,
  (
    select count(*)
    from (
      select from comby.row_entries as stored
      where stored.model = $1 and stored.tenant_id = $2 and stored.entry = wanted.entry
      limit $4
    ) as counted
  ) as found
from unnest($3::text[]) as wanted (entry)
order by found
limit 1
