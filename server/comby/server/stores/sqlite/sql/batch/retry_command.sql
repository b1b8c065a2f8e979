create temp trigger retry_command instead of insert on batch when new.kind = 'retry_command'
begin
  update commands
  set accept_seq = new.item ->> 'tail', status = 'accepted', attempts = 0, finished_at = null, version = 0, position = 0,
      outcome = x''
  where accept_seq = new.item ->> 'accept_seq' and status = 'parked';
  select raise(abort, 'the command has moved') where changes() <> 1;
end
