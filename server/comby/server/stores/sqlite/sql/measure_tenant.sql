-- As measure_log, for one tenant.
select count(*), coalesce(max(position), 0), coalesce(sum(record_size), 0)
from (
  select position, record_size from events
  where tenant_id = :tenant_id and position > :bound and position <= :head
  order by position
  limit :limit
)
