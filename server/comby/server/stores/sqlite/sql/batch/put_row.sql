create temp trigger put_row instead of insert on batch when new.kind = 'put_row'
begin
  delete from row_fields
  where model = new.item ->> 'model' and tenant_id = new.item ->> 'tenant_id' and key = new.item ->> 'key'
    and (field, value) in (
      select old.key, old.value from rows, json_each(rows.fields) as old
      where rows.model = new.item ->> 'model' and rows.tenant_id = new.item ->> 'tenant_id'
        and rows.key = new.item ->> 'key'
    );
  insert into rows (model, tenant_id, key, version, stamp, fields, row)
  values (
    new.item ->> 'model', new.item ->> 'tenant_id', new.item ->> 'key', new.item ->> 'version', new.item ->> 'stamp',
    new.item ->> 'fields', new.payload
  )
  on conflict do update
  set version = excluded.version, stamp = excluded.stamp, fields = excluded.fields, row = excluded.row;
  insert into row_fields (model, tenant_id, field, value, key)
  select new.item ->> 'model', new.item ->> 'tenant_id', field.key, field.value, new.item ->> 'key'
  from json_each(new.item ->> 'fields') as field;
end
