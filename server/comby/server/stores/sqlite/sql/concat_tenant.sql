-- As concat_log, for one tenant.
select cast(group_concat(element, '') as blob)
from (
  select element from events
  where tenant_id = :tenant_id and position > :bound and position <= :last
  order by position
)
