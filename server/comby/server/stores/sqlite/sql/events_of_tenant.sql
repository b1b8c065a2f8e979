select json_group_array(position)
from (
  select position from events
  where tenant_id = :tenant_id and position > :bound and position <= :head
  order by position
  limit :limit
)
