-- As packed_commands, for events.
create temp view packed_events as
select
  position, tenant_id, domain, aggregate_id, version,
  json_array(
    position, recorded_at, tenant_id, domain, aggregate_id, version, type, octet_length(record)
  ) as item,
  record as payload
from events
