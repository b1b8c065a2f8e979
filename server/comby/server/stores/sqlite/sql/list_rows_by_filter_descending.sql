-- One field of the filter drives; the order by key is that of its index.
select
  json_group_array(json(row.item) order by row.key desc),
  cast(group_concat(row.payload, '' order by row.key desc) as blob),
  json_group_array('' order by row.key desc)
from (
  select candidate.key from row_fields as candidate
  where candidate.model = :model and candidate.tenant_id = :tenant_id
    and candidate.field = :driving_field and candidate.value = :driving_value
    and (:after_key is null or candidate.key < :after_key)
    and not exists (
      select 1 from json_each(:filter) as wanted
      where not exists (
        select 1 from row_fields as field
        where field.model = :model and field.tenant_id = :tenant_id
          and field.field = wanted.key and field.value = wanted.value and field.key = candidate.key
      )
    )
  order by candidate.key desc
  limit :limit
) as listed
cross join packed_rows as row on row.model = :model and row.tenant_id = :tenant_id and row.key = listed.key
