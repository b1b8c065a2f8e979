-- The key may have left since the reactor looked: then it waits again, due at once, so that the event is not lost.
insert into waiting_keys (reactor, tenant_id, domain, aggregate_id, position, attempts, since, next_attempt_at, incident)
values (:reactor, :tenant_id, :domain, :aggregate_id, :position, 0, :now, :now, '')
on conflict do nothing;
insert into waiting_events (reactor, tenant_id, domain, aggregate_id, position)
values (:reactor, :tenant_id, :domain, :aggregate_id, :position)
on conflict do nothing
