-- Writes rows of read models: of each row (`places` numbers them) the last change among the requests that wrote.
-- A change without content deletes the row. `row_entries` are a row's indexed fields, put together as in row_entries.py.
create function comby.write_rows(
  wrote boolean[], requests integer[], places integer[], models text[], tenants text[], keys text[],
  row_versions bigint[], row_stamps text[], row_entries text[], contents bytea[]
) returns void language plpgsql as $$
declare
  last    integer[] := array_fill(0, array[cardinality(places)]);
  deletes boolean := false;
  stale   tid[];
begin
  for change in 1 .. cardinality(places) loop
    if wrote[requests[change]] then
      last[places[change]] := change;
      deletes := deletes or contents[change] is null;
    end if;
  end loop;

  -- What is not there is inserted, and what is there updated: the lock of the append keeps it so, and to insert on conflict costs more.
  with changed as materialized (
    select given.*, stored.entries as before
    from (
      select given.*, string_to_array(given.joined, e'\x01\x04') as after
      from unnest(places, models, tenants, keys, row_versions, row_stamps, row_entries, contents)
        with ordinality as given (place, model, tenant_id, key, version, stamp, joined, content, ordinal)
      where last[given.place] = given.ordinal
    ) as given
    left join lateral (
      select rows.entries from comby.rows
      where rows.model = given.model and rows.tenant_id = given.tenant_id and rows.key = given.key
      offset 0
    ) as stored on true
  ),
  added as (
    insert into comby.row_entries (model, tenant_id, entry, key)
    select one.model, one.tenant_id, one.entry, one.key
    from (
      select changed.model, changed.tenant_id, changed.key, changed.before, unnest(changed.after) as entry from changed
    ) as one
    where one.before is null or one.entry <> all (one.before)
  ),
  created as (
    insert into comby.rows (model, tenant_id, key, version, stamp, entries, row)
    select model, tenant_id, key, version, stamp, after, content
    from changed where before is null and content is not null
  ),
  replaced as (
    update comby.rows as stored
    set version = changed.version, stamp = changed.stamp, entries = changed.after, row = changed.content
    from changed
    where changed.before is not null and changed.content is not null
      and stored.model = changed.model and stored.tenant_id = changed.tenant_id and stored.key = changed.key
  )
  select array_agg(stored.ctid) into stale
  from (
    select changed.model, changed.tenant_id, changed.key, changed.after, unnest(changed.before) as entry
    from changed where before is not null
  ) as one
  cross join lateral (
    select row_entries.ctid from comby.row_entries
    where row_entries.model = one.model and row_entries.tenant_id = one.tenant_id and row_entries.entry = one.entry
      and row_entries.key = one.key
    offset 0
  ) as stored
  where one.entry <> all (one.after);
  if stale is not null then
    perform comby.delete_entries(stale);
  end if;
  if deletes then
    for change in 1 .. cardinality(places) loop
      if last[places[change]] = change and contents[change] is null then
        delete from comby.rows
        where rows.model = models[change] and rows.tenant_id = tenants[change] and rows.key = keys[change];
      end if;
    end loop;
  end if;

  insert into comby.stamps (model, stamp)
  select distinct given.model, given.stamp
  from unnest(places, models, row_stamps, contents) with ordinality as given (place, model, stamp, content, ordinal)
  where last[given.place] = given.ordinal and given.content is not null
  on conflict do nothing;
end
$$;

-- Deletes entries by where they lie, which the planner would not choose by itself while the table is small.
create function comby.delete_entries(stale tid[]) returns void language plpgsql set enable_indexscan = off as $$
begin
  delete from comby.row_entries where ctid = any (stale);
end
$$;

-- Deletes rows of a model, under the lock of the append; returns how many.
create function comby.drop_rows(dropped text, most integer) returns integer language plpgsql as $$
declare
  victim  record;
  deleted integer := 0;
begin
  perform pg_advisory_xact_lock(comby.append_lock());
  for victim in select tenant_id, key, entries from comby.rows where model = dropped limit most loop
    delete from comby.row_entries
    where model = dropped and tenant_id = victim.tenant_id and entry = any (victim.entries) and key = victim.key;
    delete from comby.rows where model = dropped and tenant_id = victim.tenant_id and key = victim.key;
    deleted := deleted + 1;
  end loop;
  return deleted;
end
$$;
