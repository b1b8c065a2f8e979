select json_group_array(json(command.item)), cast(group_concat(command.payload, '') as blob)
from json_each(:keys) as wanted
cross join packed_commands as command
  on command.tenant_id = wanted.value ->> 0 and command.request_id = wanted.value ->> 1
