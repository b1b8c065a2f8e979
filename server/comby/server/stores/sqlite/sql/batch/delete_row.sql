create temp trigger delete_row instead of insert on batch when new.kind = 'delete_row'
begin
  delete from row_fields
  where model = new.item ->> 'model' and tenant_id = new.item ->> 'tenant_id' and key = new.item ->> 'key'
    and (field, value) in (
      select old.key, old.value from rows, json_each(rows.fields) as old
      where rows.model = new.item ->> 'model' and rows.tenant_id = new.item ->> 'tenant_id'
        and rows.key = new.item ->> 'key'
    );
  delete from rows
  where model = new.item ->> 'model' and tenant_id = new.item ->> 'tenant_id' and key = new.item ->> 'key';
end
