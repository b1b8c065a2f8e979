-- The elements of an aggregate's events, end to end.
select cast(coalesce(group_concat(element, ''), '') as blob)
from (
  select element from events
  where tenant_id = :tenant_id and domain = :domain and aggregate_id = :aggregate_id
    and version > :after and (:up_to is null or version <= :up_to)
  order by version
  limit :limit
)
