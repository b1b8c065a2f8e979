-- The instances that serve the log, and what each owns. Heartbeats are on this database's clock.
create table comby.instances (
  instance_id  text    collate "C" not null primary key,
  name         text    collate "C" not null, -- kept over restarts
  address      text    collate "C" not null,
  eligible     boolean not null,
  version      text    collate "C" not null,
  started_at   bigint  not null,
  heartbeat_at bigint  not null
) with (fillfactor = 50);

create table comby.partitions (
  partition integer not null primary key,
  owner     text    collate "C",
  epoch     bigint  not null
) with (fillfactor = 50);

create table comby.duties (
  duty  text   collate "C" not null primary key,
  owner text   collate "C",
  epoch bigint not null
) with (fillfactor = 50);

-- Registers an instance, and sees that there is a row for each partition and duty. Other instances of its name have ended: they are forgotten,
-- and what they own may be taken. Instances that have been silent for a day and own nothing are forgotten too.
create function comby.join_instance(
  joining text, new_name text, new_address text, new_eligible boolean, new_version text, partition_count integer, duty_names text[]
) returns void language plpgsql as $$
declare
  now constant bigint := comby.clock();
begin
  perform pg_advisory_xact_lock(comby.append_lock());
  delete from comby.instances where name = new_name and instance_id <> joining;
  insert into comby.instances (instance_id, name, address, eligible, version, started_at, heartbeat_at)
  values (joining, new_name, new_address, new_eligible, new_version, now, now)
  on conflict (instance_id) do update
  set name = excluded.name, address = excluded.address, eligible = excluded.eligible, version = excluded.version,
      started_at = excluded.started_at, heartbeat_at = excluded.heartbeat_at;
  insert into comby.partitions (partition, owner, epoch)
  select number, null, 0 from generate_series(0, partition_count - 1) as number
  on conflict (partition) do nothing;
  insert into comby.duties (duty, owner, epoch)
  select distinct name, null, 0 from unnest(duty_names) as name
  on conflict (duty) do nothing;
  delete from comby.instances as silent
  where silent.heartbeat_at < now - 86400000000
    and not exists (select from comby.partitions where owner = silent.instance_id)
    and not exists (select from comby.duties where owner = silent.instance_id);
end
$$;

-- Whether an instance is registered, and its last heartbeat is younger than the lease.
create function comby.is_live(instance text, lease bigint) returns boolean language sql stable as $$
  select exists (
    select from comby.instances as one where one.instance_id = instance and one.heartbeat_at > comby.clock() - lease
  )
$$;

-- Takes those of the holdings that nobody owns, or whose owner is not live, under the lock of the append. What the taker owns already is not
-- taken again. One that is not registered, or not eligible, takes nothing.
create function comby.take_holdings(taker text, wanted_partitions integer[], wanted_duties text[], lease bigint)
returns table (taken_partition integer, taken_duty text, taken_epoch bigint, unclean boolean) language plpgsql as $$
begin
  perform pg_advisory_xact_lock(comby.append_lock());
  if not exists (select from comby.instances as one where one.instance_id = taker and one.eligible) then
    return;
  end if;
  return query
    with free as (
      select partition, owner from comby.partitions
      where partition = any (wanted_partitions)
        and (owner is null or owner <> taker and not comby.is_live(owner, lease))
    )
    update comby.partitions as held set owner = taker, epoch = held.epoch + 1
    from free where held.partition = free.partition
    returning held.partition, null::text, held.epoch, free.owner is not null;
  return query
    with free as (
      select duty, owner from comby.duties
      where duty = any (wanted_duties)
        and (owner is null or owner <> taker and not comby.is_live(owner, lease))
    )
    update comby.duties as held set owner = taker, epoch = held.epoch + 1
    from free where held.duty = free.duty
    returning null::integer, held.duty, held.epoch, free.owner is not null;
end
$$;

-- Gives holdings back, each where the instance still owns it in this epoch; the epoch rises, so that nothing is committed under it.
create function comby.release_holdings(
  giver text, given_partitions integer[], partition_epochs bigint[], given_duties text[], duty_epochs bigint[]
) returns void language plpgsql as $$
begin
  perform pg_advisory_xact_lock(comby.append_lock());
  update comby.partitions as held set owner = null, epoch = held.epoch + 1
  from unnest(given_partitions, partition_epochs) as given (partition, epoch)
  where held.partition = given.partition and held.owner = giver and held.epoch = given.epoch;
  update comby.duties as held set owner = null, epoch = held.epoch + 1
  from unnest(given_duties, duty_epochs) as given (duty, epoch)
  where held.duty = given.duty and held.owner = giver and held.epoch = given.epoch;
end
$$;

-- Gives back everything, and forgets the instance.
create function comby.leave_instance(leaving text) returns void language plpgsql as $$
begin
  perform pg_advisory_xact_lock(comby.append_lock());
  update comby.partitions set owner = null, epoch = epoch + 1 where owner = leaving;
  update comby.duties set owner = null, epoch = epoch + 1 where owner = leaving;
  delete from comby.instances where instance_id = leaving;
end
$$;
