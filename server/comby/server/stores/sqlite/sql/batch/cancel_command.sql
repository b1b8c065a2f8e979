create temp trigger cancel_command instead of insert on batch when new.kind = 'cancel_command'
begin
  update commands set status = 'cancelled', finished_at = new.item ->> 'finished_at', outcome = new.payload
  where accept_seq = new.item ->> 'accept_seq' and (status = 'parked' or status = 'accepted' and attempts = 0);
  select raise(abort, 'the command has moved') where changes() <> 1;
end
