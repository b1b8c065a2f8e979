select
  tenant_id, domain, aggregate_id, version,
  exists (
    select * from closed_aggregates
    where tenant_id = :tenant_id and domain = :domain and aggregate_id = :aggregate_id
  )
from events
where tenant_id = :tenant_id and domain = :domain and aggregate_id = :aggregate_id
order by version desc
limit 1
