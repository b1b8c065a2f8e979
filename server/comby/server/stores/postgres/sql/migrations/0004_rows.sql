-- The entries of a row that are put together in one text.
create function comby.entries_of(joined text) returns text[] language sql immutable strict parallel safe
return string_to_array(joined, e'\x01\x04');

-- Writes rows of read models: of each row (`places` numbers them) the last change among the requests that wrote.
-- A change without content deletes the row. `row_entries` are a row's indexed fields, put together as in row_entries.py.
create function comby.write_rows(
  wrote boolean[], requests integer[], places integer[], models text[], tenants text[], keys text[],
  row_versions bigint[], row_stamps text[], row_entries text[], contents bytea[]
) returns void language plpgsql as $$
declare
  changes constant integer := cardinality(places);
  last    integer[] := array_fill(0, array[changes]);
  befores text[]; -- the entries of rows that are stored
  stored  tid[];
  inserts boolean := false;
  updates boolean := false;
  deletes boolean := false;
  change  integer;
begin
  for change in 1 .. changes loop
    if wrote[requests[change]] then
      last[places[change]] := change;
    end if;
  end loop;
  select array_agg(row.place order by number), array_agg(row.entries order by number) into stored, befores
  from generate_series(1, changes) as number
  left join lateral (
    select rows.ctid as place, rows.entries from comby.rows
    where rows.model = models[number] and rows.tenant_id = tenants[number] and rows.key = keys[number]
    offset 0
  ) as row on true;
  foreach change in array last loop
    continue when change = 0;
    if contents[change] is null then
      deletes := true;
    elsif stored[change] is null then
      inserts := true;
    else
      updates := true;
    end if;
  end loop;

  insert into comby.row_entries (model, tenant_id, entry, key)
  select models[one.number], tenants[one.number], one.entry, keys[one.number]
  from (
    select number, unnest(comby.entries_of(row_entries[number])) as entry
    from unnest(last) as number
    where number > 0 and befores[number] is distinct from row_entries[number]
  ) as one
  where befores[one.number] is null or one.entry <> all (comby.entries_of(befores[one.number]));
  if updates or deletes then
    perform comby.delete_entries(
      (
        select array_agg(entry.place)
        from (
          select number, unnest(comby.entries_of(befores[number])) as entry
          from unnest(last) as number
          where number > 0 and befores[number] is distinct from row_entries[number]
        ) as one
        cross join lateral (
          select row_entries.ctid as place from comby.row_entries
          where row_entries.model = models[one.number] and row_entries.tenant_id = tenants[one.number]
            and row_entries.entry = one.entry and row_entries.key = keys[one.number]
          offset 0
        ) as entry
        where one.entry <> all (comby.entries_of(row_entries[one.number]))
      )
    );
  end if;

  if inserts then
    insert into comby.rows (model, tenant_id, key, version, stamp, entries, row)
    select
      models[number], tenants[number], keys[number], row_versions[number], row_stamps[number], row_entries[number],
      contents[number]
    from unnest(last) as number
    where number > 0 and stored[number] is null and contents[number] is not null;
  end if;
  if updates then
    perform comby.update_rows(last, stored, row_versions, row_stamps, row_entries, contents);
  end if;
  if deletes then
    foreach change in array last loop
      if change > 0 and contents[change] is null then
        delete from comby.rows
        where rows.model = models[change] and rows.tenant_id = tenants[change] and rows.key = keys[change];
      end if;
    end loop;
  end if;
end
$$;

-- What follows changes rows where they lie, which is known, and stays so under the lock of the append. Without the other ways the planner
-- takes this one, also for tables that are small when it plans.

create function comby.update_rows(
  numbers integer[], stored tid[], row_versions bigint[], row_stamps text[], row_entries text[], contents bytea[]
) returns void language plpgsql set enable_indexscan = off as $$
begin
  update comby.rows
  set version = row_versions[number], stamp = row_stamps[number], entries = row_entries[number], row = contents[number]
  from unnest(numbers) as number
  where rows.ctid = stored[number] and number > 0 and contents[number] is not null;
end
$$;

create function comby.delete_entries(stale tid[]) returns void language plpgsql set enable_indexscan = off as $$
begin
  if stale is not null then
    delete from comby.row_entries where ctid = any (stale);
  end if;
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
    where model = dropped and tenant_id = victim.tenant_id and entry = any (comby.entries_of(victim.entries))
      and key = victim.key;
    delete from comby.rows where model = dropped and tenant_id = victim.tenant_id and key = victim.key;
    deleted := deleted + 1;
  end loop;
  return deleted;
end
$$;
