-- The key may have left since the reactor looked: then it waits again, due at once, so that the event is not lost.
create temp trigger join_waiting instead of insert on batch when new.kind = 'join_waiting'
begin
  insert into waiting_keys (
    reactor, tenant_id, domain, aggregate_id, position, attempts, since, next_attempt_at, incident
  )
  values (
    new.item ->> 'reactor', new.item ->> 'tenant_id', new.item ->> 'domain', new.item ->> 'aggregate_id',
    new.item ->> 'position', 0, new.item ->> 'now', new.item ->> 'now', ''
  )
  on conflict do nothing;
  insert into waiting_events (reactor, tenant_id, domain, aggregate_id, position)
  values (
    new.item ->> 'reactor', new.item ->> 'tenant_id', new.item ->> 'domain', new.item ->> 'aggregate_id',
    new.item ->> 'position'
  )
  on conflict do nothing;
end
