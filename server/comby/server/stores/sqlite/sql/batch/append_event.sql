create temp trigger append_event instead of insert on batch when new.kind = 'append_event'
begin
  insert into events (position, tenant_id, domain, aggregate_id, version, type, recorded_at, request_id, record_start, record_size, element)
  values (
    new.item ->> 'position', new.item ->> 'tenant_id', new.item ->> 'domain', new.item ->> 'aggregate_id',
    new.item ->> 'version', new.item ->> 'type', new.item ->> 'recorded_at', new.item ->> 'request_id',
    new.item ->> 'record_start', new.item ->> 'record_size', new.payload
  );
end
