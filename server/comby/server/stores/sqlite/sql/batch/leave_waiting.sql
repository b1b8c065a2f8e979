delete from waiting_events
where reactor = :reactor and tenant_id = :tenant_id and domain = :domain and aggregate_id = :aggregate_id
  and position = :position;
delete from waiting_keys
where reactor = :reactor and tenant_id = :tenant_id and domain = :domain and aggregate_id = :aggregate_id
  and not exists (
    select 1 from waiting_events as event
    where event.reactor = waiting_keys.reactor and event.tenant_id = waiting_keys.tenant_id
      and event.domain = waiting_keys.domain and event.aggregate_id = waiting_keys.aggregate_id
  );
update waiting_keys
set attempts = 0, next_attempt_at = :now, incident = '',
    position = (
      select min(event.position) from waiting_events as event
      where event.reactor = waiting_keys.reactor and event.tenant_id = waiting_keys.tenant_id
        and event.domain = waiting_keys.domain and event.aggregate_id = waiting_keys.aggregate_id
    )
where reactor = :reactor and tenant_id = :tenant_id and domain = :domain and aggregate_id = :aggregate_id
  and position = :position
