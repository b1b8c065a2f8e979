insert into events (
  position, tenant_id, domain, aggregate_id, version, type, recorded_at, request_id, record_start, record_size, element
)
values (
  :position, :tenant_id, :domain, :aggregate_id, :version, :type, :recorded_at, :request_id, :record_start,
  :record_size, :element
)
