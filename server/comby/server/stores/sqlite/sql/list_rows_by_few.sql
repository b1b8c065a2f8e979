-- A selective field of the filter drives, and its few rows are sorted.
select
  json_group_array(json(row.item) order by listed.value, row.key),
  cast(group_concat(row.payload, '' order by listed.value, row.key) as blob),
  json_group_array(listed.value order by listed.value, row.key)
from (
  select candidate.key, ordering.value
  from row_fields as candidate
  cross join rows on rows.model = :model and rows.tenant_id = :tenant_id and rows.key = candidate.key
  cross join json_each(rows.fields) as ordering on ordering.key = :order_by
  where candidate.model = :model and candidate.tenant_id = :tenant_id
    and candidate.field = :driving_field and candidate.value = :driving_value
    and (:after_key is null or (ordering.value, candidate.key) > (:after_value, :after_key))
    and not exists (
      select 1 from json_each(:filter) as wanted
      where not exists (
        select 1 from row_fields as field
        where field.model = :model and field.tenant_id = :tenant_id
          and field.field = wanted.key and field.value = wanted.value and field.key = candidate.key
      )
    )
  order by ordering.value, candidate.key
  limit :limit
) as listed
cross join packed_rows as row on row.model = :model and row.tenant_id = :tenant_id and row.key = listed.key
