select json_group_object(tenant_id, open)
from (
  select tenant_id, count(*) as open from commands indexed by commands_open where status = 'accepted' group by tenant_id
)
