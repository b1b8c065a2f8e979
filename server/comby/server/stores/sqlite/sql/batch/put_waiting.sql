create temp trigger put_waiting instead of insert on batch when new.kind = 'put_waiting'
begin
  insert into waiting_keys (
    reactor, tenant_id, domain, aggregate_id, position, attempts, since, next_attempt_at, incident
  )
  values (
    new.item ->> 'reactor', new.item ->> 'tenant_id', new.item ->> 'domain', new.item ->> 'aggregate_id',
    new.item ->> 'position', new.item ->> 'attempts', new.item ->> 'since', new.item ->> 'next_attempt_at',
    new.item ->> 'incident'
  )
  on conflict do update
  set position = excluded.position, attempts = excluded.attempts, since = excluded.since,
      next_attempt_at = excluded.next_attempt_at, incident = excluded.incident;
  insert into waiting_events (reactor, tenant_id, domain, aggregate_id, position)
  values (
    new.item ->> 'reactor', new.item ->> 'tenant_id', new.item ->> 'domain', new.item ->> 'aggregate_id',
    new.item ->> 'position'
  )
  on conflict do nothing;
end
