-- The most selective field of a filter, and how many rows it leaves, counted up to :few.
select wanted.key, wanted.value,
  (
    select count(*)
    from (
      select 1 from row_fields as field
      where field.model = :model and field.tenant_id = :tenant_id
        and field.field = wanted.key and field.value = wanted.value
      limit :few
    )
  ) as found
from json_each(:filter) as wanted
order by found
limit 1
