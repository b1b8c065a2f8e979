-- Writes rows of read models: of each row (`places` numbers them) the last change among the requests that wrote.
-- A change without content deletes the row.
create function comby.write_rows(
  wrote boolean[], requests integer[], places integer[], models text[], tenants text[], keys text[],
  row_versions bigint[], row_stamps text[], row_fields text[], contents bytea[]
) returns void language plpgsql as $$
declare
  last    integer[] := array_fill(0, array[cardinality(places)]);
  deletes boolean := false;
  stale   record;
begin
  for change in 1 .. cardinality(places) loop
    if wrote[requests[change]] then
      last[places[change]] := change;
      deletes := deletes or contents[change] is null;
    end if;
  end loop;

  -- Entries that the row had, and has no more.
  for stale in
    select given.model, given.tenant_id, given.key, field.name, field.value
    from unnest(places, models, tenants, keys, row_fields)
      with ordinality as given (place, model, tenant_id, key, fields, ordinal)
    cross join lateral (
      select rows.fields from comby.rows
      where rows.model = given.model and rows.tenant_id = given.tenant_id and rows.key = given.key
      offset 0
    ) as stored
    cross join lateral jsonb_each_text(stored.fields) as field (name, value)
    where last[given.place] = given.ordinal and given.fields::jsonb ->> field.name is distinct from field.value
  loop
    delete from comby.row_fields as entry
    where entry.model = stale.model and entry.tenant_id = stale.tenant_id and entry.field = stale.name
      and entry.value = stale.value and entry.key = stale.key;
  end loop;
  insert into comby.row_fields (model, tenant_id, field, value, key)
  select given.model, given.tenant_id, field.name, field.value, given.key
  from unnest(places, models, tenants, keys, row_fields)
    with ordinality as given (place, model, tenant_id, key, fields, ordinal)
  cross join lateral jsonb_each_text(given.fields::jsonb) as field (name, value)
  where last[given.place] = given.ordinal
  on conflict do nothing;

  insert into comby.rows (model, tenant_id, key, version, stamp, fields, row)
  select given.model, given.tenant_id, given.key, given.version, given.stamp, given.fields::jsonb, given.content
  from unnest(places, models, tenants, keys, row_versions, row_stamps, row_fields, contents)
    with ordinality as given (place, model, tenant_id, key, version, stamp, fields, content, ordinal)
  where last[given.place] = given.ordinal and given.content is not null
  on conflict (model, tenant_id, key) do update
  set version = excluded.version, stamp = excluded.stamp, fields = excluded.fields, row = excluded.row;
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

-- Deletes rows of a model, under the lock of the append; returns how many.
create function comby.drop_rows(dropped text, most integer) returns integer language plpgsql as $$
declare
  victim  record;
  entry   record;
  deleted integer := 0;
begin
  perform pg_advisory_xact_lock(comby.append_lock());
  for victim in select tenant_id, key, fields from comby.rows where model = dropped limit most loop
    for entry in select * from jsonb_each_text(victim.fields) as field (name, value) loop
      delete from comby.row_fields
      where model = dropped and tenant_id = victim.tenant_id and field = entry.name and value = entry.value
        and key = victim.key;
    end loop;
    delete from comby.rows where model = dropped and tenant_id = victim.tenant_id and key = victim.key;
    deleted := deleted + 1;
  end loop;
  return deleted;
end
$$;
