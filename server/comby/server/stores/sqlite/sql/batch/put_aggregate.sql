create temp trigger put_aggregate instead of insert on batch when new.kind = 'put_aggregate'
begin
  insert into aggregates (tenant_id, domain, aggregate_id, version, closed)
  values (
    new.item ->> 'tenant_id', new.item ->> 'domain', new.item ->> 'aggregate_id',
    new.item ->> 'version', new.item ->> 'closed'
  )
  on conflict do update set version = excluded.version, closed = excluded.closed;
end
