select json_group_array(json_array(command.tenant_id, command.request_id))
from json_each(:keys) as wanted
cross join commands as command
  on command.tenant_id = wanted.value ->> 0 and command.request_id = wanted.value ->> 1
where command.status <> 'accepted'
