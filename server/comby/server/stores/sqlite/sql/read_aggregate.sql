select json_group_array(json(item) order by version), cast(group_concat(payload, '' order by version) as blob)
from (
  select version, item, payload from packed_events
  where tenant_id = :tenant_id and domain = :domain and aggregate_id = :aggregate_id
    and version > :after and (:up_to is null or version <= :up_to)
  order by version
  limit :limit
)
