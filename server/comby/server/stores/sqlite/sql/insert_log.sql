insert into log (only, log_id, incarnation, clean, batch) values (1, :log_id, :incarnation, 1, 0)
on conflict do nothing
