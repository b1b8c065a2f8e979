create temp trigger close_aggregate instead of insert on batch when new.kind = 'close_aggregate'
begin
  insert or ignore into closed_aggregates (tenant_id, domain, aggregate_id)
  values (new.item ->> 'tenant_id', new.item ->> 'domain', new.item ->> 'aggregate_id');
end
