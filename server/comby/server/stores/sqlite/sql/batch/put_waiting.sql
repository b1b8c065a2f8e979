insert into waiting_keys (reactor, tenant_id, domain, aggregate_id, position, attempts, since, next_attempt_at, incident)
values (
  :reactor, :tenant_id, :domain, :aggregate_id, :position, :attempts, :since, :next_attempt_at, :incident
)
on conflict do update
set position = excluded.position, attempts = excluded.attempts, since = excluded.since,
    next_attempt_at = excluded.next_attempt_at, incident = excluded.incident;
insert into waiting_events (reactor, tenant_id, domain, aggregate_id, position)
values (:reactor, :tenant_id, :domain, :aggregate_id, :position)
on conflict do nothing
