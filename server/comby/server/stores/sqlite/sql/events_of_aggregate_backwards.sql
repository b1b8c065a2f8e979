select json_group_array(position)
from (
  select position from events indexed by events_aggregate
  where tenant_id = :aggregate_tenant_id and domain = :aggregate_domain and aggregate_id = :aggregate_id
    and position < :bound and position <= :head
  order by version desc
  limit :limit
)
