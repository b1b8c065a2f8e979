create temp trigger start_command instead of insert on batch when new.kind = 'start_command'
begin
  update commands set attempts = new.item ->> 'attempts'
  where accept_seq = new.item ->> 'accept_seq' and status = 'accepted' and attempts = (new.item ->> 'attempts') - 1;
  select raise(abort, 'the command has moved') where changes() <> 1;
end
