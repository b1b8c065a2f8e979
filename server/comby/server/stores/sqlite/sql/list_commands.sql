-- The last of each status are merged, so the others are never read.
select
  json_group_array(json(command.item) order by command.accept_seq desc),
  cast(group_concat(command.payload, '' order by command.accept_seq desc) as blob)
from (
  select merged.value as accept_seq
  from json_each(:statuses) as wanted
  cross join json_each((
    select json_group_array(accept_seq)
    from (
      select accept_seq from commands indexed by commands_status
      where tenant_id = :tenant_id and status = wanted.value
        and accept_seq < :before_seq
        and (:type = '' or type = :type)
      order by accept_seq desc
      limit :limit
    )
  )) as merged
  order by merged.value desc
  limit :limit
) as listed
cross join packed_commands as command on command.accept_seq = listed.accept_seq
