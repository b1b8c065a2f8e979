create temp trigger leave_waiting instead of insert on batch when new.kind = 'leave_waiting'
begin
  delete from waiting_events
  where reactor = new.item ->> 'reactor' and tenant_id = new.item ->> 'tenant_id' and domain = new.item ->> 'domain'
    and aggregate_id = new.item ->> 'aggregate_id' and position = new.item ->> 'position';
  delete from waiting_keys
  where reactor = new.item ->> 'reactor' and tenant_id = new.item ->> 'tenant_id' and domain = new.item ->> 'domain'
    and aggregate_id = new.item ->> 'aggregate_id'
    and not exists (
      select 1 from waiting_events as event
      where event.reactor = waiting_keys.reactor and event.tenant_id = waiting_keys.tenant_id
        and event.domain = waiting_keys.domain and event.aggregate_id = waiting_keys.aggregate_id
    );
  update waiting_keys
  set attempts = 0, next_attempt_at = new.item ->> 'now', incident = '',
      position = (
        select min(event.position) from waiting_events as event
        where event.reactor = waiting_keys.reactor and event.tenant_id = waiting_keys.tenant_id
          and event.domain = waiting_keys.domain and event.aggregate_id = waiting_keys.aggregate_id
      )
  where reactor = new.item ->> 'reactor' and tenant_id = new.item ->> 'tenant_id' and domain = new.item ->> 'domain'
    and aggregate_id = new.item ->> 'aggregate_id' and position = new.item ->> 'position';
end
