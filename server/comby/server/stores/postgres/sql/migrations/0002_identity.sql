-- The lock under which everything is written that a commit reads. The number is "comby".
create function comby.append_lock() returns bigint language sql immutable parallel safe return 427071201913;

-- The clock of the log: microseconds since 1970 in UTC.
create function comby.clock() returns bigint language sql volatile
return (extract(epoch from clock_timestamp()) * 1000000)::bigint;

-- The statuses of commands, by the numbers that `append` has for them.
create function comby.statuses() returns text[] language sql immutable parallel safe
return array['accepted', 'executed', 'rejected', 'parked', 'cancelled'];

-- Where this database is; a part that its user may not see is null.
create function comby.whereabouts(out system_identifier bigint, out database_oid bigint, out timeline bigint)
language plpgsql as $$
begin
  select oid into database_oid from pg_catalog.pg_database where datname = current_database();
  begin
    system_identifier := (pg_catalog.pg_control_system()).system_identifier;
  exception when insufficient_privilege then
    system_identifier := null;
  end;
  begin
    -- The first eight digits of the file that is being written; the control file tells the timeline only after a checkpoint.
    timeline := ('x' || left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::bigint;
  exception when insufficient_privilege then
    timeline := null;
  end;
end
$$;

-- Returns the log's identity. A new log gets one; one that is found in another place than before was restored or promoted, and gets a new
-- incarnation, once. What is not known, then or now, is not compared.
create function comby.recognise(out log_id text, out incarnation text, out renewed boolean, out known boolean)
language plpgsql as $$
declare
  here record;
begin
  perform pg_advisory_xact_lock(comby.append_lock());
  here := comby.whereabouts();
  known := here.system_identifier is not null and here.timeline is not null;
  insert into comby.log (log_id, incarnation, system_identifier, database_oid, timeline)
  values (
    gen_random_uuid()::text, gen_random_uuid()::text, here.system_identifier, here.database_oid, here.timeline
  )
  on conflict do nothing;
  update comby.log as stored
  set incarnation = gen_random_uuid()::text, system_identifier = here.system_identifier, database_oid = here.database_oid,
      timeline = here.timeline
  where stored.system_identifier <> here.system_identifier or stored.database_oid <> here.database_oid
    or stored.timeline <> here.timeline;
  renewed := found;
  update comby.log as stored
  set system_identifier = coalesce(stored.system_identifier, here.system_identifier),
      timeline = coalesce(stored.timeline, here.timeline)
  where stored.system_identifier is null and here.system_identifier is not null
    or stored.timeline is null and here.timeline is not null;
  select stored.log_id, stored.incarnation into log_id, incarnation from comby.log as stored;
end
$$;

-- Begins a new incarnation: for operators, after a restore that can not be recognised, such as that of a disk.
create function comby.renew_incarnation() returns text language plpgsql as $$
declare
  renewed constant text := gen_random_uuid()::text;
begin
  perform pg_advisory_xact_lock(comby.append_lock());
  update comby.log set incarnation = renewed;
  return renewed;
end
$$;
