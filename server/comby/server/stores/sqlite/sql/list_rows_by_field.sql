-- The field that orders drives, in the order of its index.
select
  json_group_array(json(row.item) order by listed.value, row.key),
  cast(group_concat(row.payload, '' order by listed.value, row.key) as blob),
  json_group_array(listed.value order by listed.value, row.key)
from (
  select candidate.key, candidate.value from row_fields as candidate
  where candidate.model = :model and candidate.tenant_id = :tenant_id and candidate.field = :order_by
    and (:after_key is null or (candidate.value, candidate.key) > (:after_value, :after_key))
    and not exists (
      select 1 from json_each(:filter) as wanted
      where not exists (
        select 1 from row_fields as field
        where field.model = :model and field.tenant_id = :tenant_id
          and field.field = wanted.key and field.value = wanted.value and field.key = candidate.key
      )
    )
  order by candidate.value, candidate.key
  limit :limit
) as listed
cross join packed_rows as row on row.model = :model and row.tenant_id = :tenant_id and row.key = listed.key
