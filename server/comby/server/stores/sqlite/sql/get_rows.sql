select json_group_array(json(row.item)), cast(group_concat(row.payload, '') as blob)
from json_each(:keys) as wanted
cross join packed_rows as row
  on row.model = :model and row.tenant_id = wanted.value ->> 0 and row.key = wanted.value ->> 1
