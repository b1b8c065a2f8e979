select
  reactor, tenant_id, domain, aggregate_id, position, attempts, since, next_attempt_at, incident,
  (
    select count(*) from waiting_events as event
    where event.reactor = waiting_keys.reactor and event.tenant_id = waiting_keys.tenant_id
      and event.domain = waiting_keys.domain and event.aggregate_id = waiting_keys.aggregate_id
  )
from waiting_keys
where (:reactor = '' or reactor = :reactor)
  and (:tenant_id is null or tenant_id = :tenant_id)
  and (:after_id is null or (tenant_id, domain, aggregate_id) > (:after_tenant_id, :after_domain, :after_id))
order by reactor, tenant_id, domain, aggregate_id
limit :limit
