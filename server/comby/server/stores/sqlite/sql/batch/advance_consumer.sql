create temp trigger advance_consumer instead of insert on batch when new.kind = 'advance_consumer'
begin
  update consumers set position = new.item ->> 'after'
  where name = new.item ->> 'name' and generation = new.item ->> 'generation' and position = new.item ->> 'before';
  select raise(abort, 'the checkpoint has moved') where changes() <> 1;
end
