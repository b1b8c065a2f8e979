-- Writes rows of read models: of each row (`places` numbers them) the last change among the requests that wrote.
-- A change without content deletes the row.
create function comby.write_rows(
  wrote boolean[], requests integer[], places integer[], models text[], tenants text[], keys text[],
  row_versions bigint[], row_stamps text[], row_fields text[], contents bytea[]
) returns void language plpgsql as $$
declare
  last    integer[] := array_fill(0, array[cardinality(places)]);
  deletes boolean := false;
begin
  for change in 1 .. cardinality(places) loop
    if wrote[requests[change]] then
      last[places[change]] := change;
      deletes := deletes or contents[change] is null;
    end if;
  end loop;

  with changed as materialized (
    select change.model, change.tenant_id, change.key, stored.fields as before, change.fields as after
    from (
      select model, tenant_id, key, fields::jsonb as fields
      from unnest(places, models, tenants, keys, row_fields)
        with ordinality as given (place, model, tenant_id, key, fields, ordinal)
      where last[place] = ordinal
    ) as change
    left join lateral (
      select rows.fields from comby.rows
      where rows.model = change.model and rows.tenant_id = change.tenant_id and rows.key = change.key
      offset 0
    ) as stored on true
    where stored.fields is distinct from change.fields
  ),
  removed as (
    delete from comby.row_fields as entry
    using changed cross join lateral jsonb_each_text(changed.before) as field (name, value)
    where entry.model = changed.model and entry.tenant_id = changed.tenant_id
      and entry.field = field.name and entry.value = field.value and entry.key = changed.key
      and changed.after ->> field.name is distinct from field.value
  )
  insert into comby.row_fields (model, tenant_id, field, value, key)
  select changed.model, changed.tenant_id, field.name, field.value, changed.key
  from changed cross join lateral jsonb_each_text(changed.after) as field (name, value)
  where changed.before ->> field.name is distinct from field.value;

  insert into comby.rows (model, tenant_id, key, version, stamp, fields, row)
  select model, tenant_id, key, version, stamp, fields::jsonb, content
  from unnest(places, models, tenants, keys, row_versions, row_stamps, row_fields, contents)
    with ordinality as given (place, model, tenant_id, key, version, stamp, fields, content, ordinal)
  where last[place] = ordinal and content is not null
  on conflict (model, tenant_id, key) do update
  set version = excluded.version, stamp = excluded.stamp, fields = excluded.fields, row = excluded.row;

  if deletes then
    delete from comby.rows
    using unnest(places, models, tenants, keys, contents)
      with ordinality as given (place, model, tenant_id, key, content, ordinal)
    where last[given.place] = given.ordinal and given.content is null
      and rows.model = given.model and rows.tenant_id = given.tenant_id and rows.key = given.key;
  end if;

  insert into comby.stamps (model, stamp)
  select distinct model, stamp
  from unnest(places, models, row_stamps, contents) with ordinality as given (place, model, stamp, content, ordinal)
  where last[place] = ordinal and content is not null
  on conflict do nothing;
end
$$;

-- Deletes rows of a model, under the lock of the append; returns how many.
create function comby.drop_rows(dropped text, most integer) returns integer
language plpgsql as $$
declare
  gone integer;
begin
  perform pg_advisory_xact_lock(comby.append_lock());
  with victim as (
    delete from comby.rows
    where model = dropped
      and (tenant_id, key) in (select tenant_id, key from comby.rows where model = dropped limit most)
    returning tenant_id, key, fields
  ),
  entries as (
    delete from comby.row_fields as entry
    using victim cross join lateral jsonb_each_text(victim.fields) as field (name, value)
    where entry.model = dropped and entry.tenant_id = victim.tenant_id
      and entry.field = field.name and entry.value = field.value and entry.key = victim.key
  )
  select count(*) into gone from victim;
  return gone;
end
$$;
