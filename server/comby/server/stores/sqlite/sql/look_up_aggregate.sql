select
  :tenant_id, :domain, :aggregate_id,
  (
    select coalesce(max(version), 0) from events
    where tenant_id = :tenant_id and domain = :domain and aggregate_id = :aggregate_id
  ),
  exists (
    select * from closed_aggregates
    where tenant_id = :tenant_id and domain = :domain and aggregate_id = :aggregate_id
  )
