-- The condition without a list: SQLite made a table of the list for every command that was written.
drop index commands_payload;
create index commands_payload on commands (finished_at)
  where command is not null and status <> 'accepted' and status <> 'parked';
