-- Writes changes of waiting keys, in their order, of the advances that were made. Rare, so they come as JSON: an array of
-- {request, kind, reactor, tenant, domain, id, position, attempts, since, next, incident}.
create function comby.change_waiting(wrote boolean[], changes jsonb, now bigint) returns void
language plpgsql as $$
declare
  change record;
begin
  for change in
    select * from jsonb_to_recordset(changes) as item (
      request integer, kind text, reactor text, tenant text, domain text, id text, position bigint, attempts bigint,
      since bigint, next bigint, incident text
    )
  loop
    continue when not wrote[change.request];
    if change.kind = 'leave' then
      perform comby.leave_waiting(change.reactor, change.tenant, change.domain, change.id, change.position, now);
      continue;
    end if;
    insert into comby.waiting_keys as stored (
      reactor, tenant_id, domain, aggregate_id, position, attempts, since, next_attempt_at, incident
    )
    values (
      change.reactor, change.tenant, change.domain, change.id, change.position, change.attempts,
      case when change.kind = 'put' then change.since else now end,
      case when change.kind = 'put' then change.next else now end, change.incident
    )
    on conflict (reactor, tenant_id, domain, aggregate_id) do update
    set position = excluded.position, attempts = excluded.attempts, since = excluded.since,
        next_attempt_at = excluded.next_attempt_at, incident = excluded.incident
    where change.kind = 'put';
    insert into comby.waiting_events (reactor, tenant_id, domain, aggregate_id, position)
    values (change.reactor, change.tenant, change.domain, change.id, change.position)
    on conflict do nothing;
  end loop;
end
$$;

-- Takes an event from those that wait. The key goes with its last event; the next one begins anew, due at once.
create function comby.leave_waiting(
  leaving text, tenant text, domain_name text, id text, event_position bigint, now bigint
) returns void language plpgsql as $$
declare
  next_position bigint;
begin
  delete from comby.waiting_events
  where reactor = leaving and tenant_id = tenant and domain = domain_name and aggregate_id = id
    and position = event_position;
  select min(position) into next_position from comby.waiting_events
  where reactor = leaving and tenant_id = tenant and domain = domain_name and aggregate_id = id;
  if next_position is null then
    delete from comby.waiting_keys
    where reactor = leaving and tenant_id = tenant and domain = domain_name and aggregate_id = id;
  else
    update comby.waiting_keys
    set attempts = 0, next_attempt_at = now, incident = '', position = next_position
    where reactor = leaving and tenant_id = tenant and domain = domain_name and aggregate_id = id
      and position = event_position;
  end if;
end
$$;
