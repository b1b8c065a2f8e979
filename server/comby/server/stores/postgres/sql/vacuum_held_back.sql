-- The oldest snapshot that holds vacuum back in this database: who has it, how many transactions old it is, and for how many seconds
-- it has been there, where that is known.
select holder, age(oldest) as transactions, extract(epoch from now() - since)::double precision as seconds
from (
  select 'session ' || pid, backend_xmin, coalesce(xact_start, backend_start)
  from pg_stat_activity
  where backend_xmin is not null and pid <> pg_backend_pid() and (datname = current_database() or datname is null)
  union all
  select 'replication slot ' || slot_name, xmin, null from pg_replication_slots where xmin is not null
  union all
  select 'prepared transaction ' || gid, transaction, prepared from pg_prepared_xacts where database = current_database()
) as snapshots (holder, oldest, since)
order by transactions desc
limit 1
