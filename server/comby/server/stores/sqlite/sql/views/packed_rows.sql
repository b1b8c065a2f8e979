-- As packed_commands, for rows of read models.
create temp view packed_rows as
select
  model, tenant_id, key,
  json_array(tenant_id, key, stamp, version, octet_length(row)) as item,
  row as payload
from rows
