create temp trigger finish_command instead of insert on batch when new.kind = 'finish_command'
begin
  update commands
  set status = new.item ->> 'status', finished_at = new.item ->> 'finished_at', version = new.item ->> 'version',
      position = new.item ->> 'position', outcome = new.payload
  where accept_seq = new.item ->> 'accept_seq' and status = 'accepted';
  select raise(abort, 'the command has moved') where changes() <> 1;
end
