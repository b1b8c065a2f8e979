-- The most selective field of a filter, and how many rows it leaves, counted up to a few.
select wanted.field, wanted.value,
  (
    select count(*)
    from (
      select from comby.row_fields as entry
      where entry.model = $1 and entry.tenant_id = $2 and entry.field = wanted.field and entry.value = wanted.value
      limit $5
    ) as counted
  ) as found
from unnest($3::text[], $4::text[]) as wanted (field, value)
order by found
limit 1
