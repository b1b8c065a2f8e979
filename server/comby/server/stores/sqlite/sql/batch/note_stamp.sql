create temp trigger note_stamp instead of insert on batch when new.kind = 'note_stamp'
begin
  insert or ignore into stamps (model, stamp) values (new.item ->> 'model', new.item ->> 'stamp');
end
