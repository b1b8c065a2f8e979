-- Changes of consumers beside the append, under its lock: a commit reads where they stand.
create function comby.create_consumer(
  new_name text, new_generation bigint, new_version bigint, new_live boolean, new_position bigint, new_since bigint
) returns setof comby.consumers language plpgsql as $$
begin
  perform pg_advisory_xact_lock(comby.append_lock());
  insert into comby.consumers (name, generation, version, live, position, since)
  values (new_name, new_generation, new_version, new_live, new_position, new_since)
  on conflict (name, generation) do nothing;
  return query
    select * from comby.consumers as consumer where consumer.name = new_name and consumer.generation = new_generation;
end
$$;

-- Makes a generation the live one and deletes the others; nothing where there is no such generation.
create function comby.switch_consumer(switched text, live_generation bigint) returns void language plpgsql as $$
begin
  perform pg_advisory_xact_lock(comby.append_lock());
  update comby.consumers set live = true where name = switched and generation = live_generation;
  if found then
    delete from comby.consumers where name = switched and generation <> live_generation;
  end if;
end
$$;

create function comby.delete_consumer(deleted text, deleted_generation bigint) returns void language plpgsql as $$
begin
  perform pg_advisory_xact_lock(comby.append_lock());
  delete from comby.consumers where name = deleted and generation = deleted_generation;
end
$$;
