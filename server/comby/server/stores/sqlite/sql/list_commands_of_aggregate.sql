-- Looked through from the last accepted: an index would cost every command a page, and this is asked by people.
select
  json_group_array(json(command.item) order by command.accept_seq desc),
  cast(group_concat(command.payload, '' order by command.accept_seq desc) as blob)
from (
  select accept_seq from commands not indexed
  where tenant_id = :tenant_id and aggregate_id = :aggregate_id
    and accept_seq < :before_seq
    and status in (select value from json_each(:statuses))
    and (:type = '' or type = :type)
  order by accept_seq desc
  limit :limit
) as listed
cross join packed_commands as command on command.accept_seq = listed.accept_seq
