select
  reactor, tenant_id, domain, aggregate_id, position, attempts, since, next_attempt_at, incident,
  (
    select count(*) from comby.waiting_events as event
    where event.reactor = waiting_keys.reactor and event.tenant_id = waiting_keys.tenant_id
      and event.domain = waiting_keys.domain and event.aggregate_id = waiting_keys.aggregate_id
  )
from comby.waiting_keys
where ($1 = '' or reactor = $1)
  and ($2::text is null or tenant_id = $2)
  and ($5::text is null or (tenant_id, domain, aggregate_id) > ($3, $4, $5))
order by reactor, tenant_id, domain, aggregate_id
limit $6
