-- As packed_commands, for events.
create temp view packed_events as
select
  position, tenant_id, domain, aggregate_id, version,
  json_array(
    position, recorded_at, tenant_id, domain, aggregate_id, version, type, record_start, record_size, octet_length(element)
  ) as item,
  element as payload
from events
