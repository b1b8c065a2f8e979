select
  json_group_array(json(command.item) order by command.accept_seq),
  cast(group_concat(command.payload, '' order by command.accept_seq) as blob)
from (
  select accept_seq from commands indexed by commands_open
  where status = 'accepted' and accept_seq > :after_seq and (not_before is null or not_before <= :due)
    and (:partitions is null or partition in (select value from json_each(:partitions)))
  order by accept_seq
  limit :limit
) as listed
cross join packed_commands as command on command.accept_seq = listed.accept_seq
