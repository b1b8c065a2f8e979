create temp trigger count_batch instead of insert on batch when new.kind = 'count_batch'
begin
  update log set batch = new.item ->> 'batch';
end
