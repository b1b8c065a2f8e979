select json_group_array(json_array(listed.tenant_id, listed.request_id) order by listed.accept_seq)
from (
  select command.accept_seq, command.tenant_id, command.request_id
  from commands as command indexed by commands_open
  where command.status = 'accepted' and (command.not_before is null or command.not_before <= :due)
    and command.tenant_id = :tenant_id and command.domain = :domain and command.aggregate_id = :aggregate_id
  order by command.accept_seq
  limit :limit
) as listed
