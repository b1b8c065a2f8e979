-- The append of batches that hold nothing but new commands which end with them, as nearly all do: decided as one, since there is nothing to
-- tell of single requests where nothing stands against any of them.

-- What is bytes comes in one text of bytes, `contents`, and is referred to by where it begins there, from 1: `..._at`, and `end_at`.
create type comby.new_command as (
  tenant_id text, request_id text, domain text, aggregate_id text, type text, status text, partition integer,
  expected_version bigint, not_before bigint, attempts integer, version bigint, fenced boolean, last_event integer,
  fingerprint_at integer, context_at integer, outcome_at integer, command_at integer, end_at integer
);
create type comby.new_event as (
  tenant_id text, domain text, aggregate_id text, type text, request_id text, version bigint, record_at integer, end_at integer
);
create type comby.moved_aggregate as (tenant_id text, domain text, aggregate_id text, version bigint, next_version bigint);
create type comby.put_row as (
  model text, tenant_id text, key text, stamp text, version bigint, row_at integer, end_at integer
);

-- Writes the batch and answers with the head after it; or writes nothing and answers null, where anything stands against a request:
-- then `append` tells what. A batch that was written before, by its writer and number, is answered again.
--
-- No command comes twice. An aggregate that several requests move comes once, with the version that the first one is at and that the last one
-- leaves; so does a row. `last_event` is the ordinal of a command's last event, from 1; 0: it has none. `fenced`: nothing older may wait.
-- Plans are made as for `append`.
create function comby.append_new(
  writer_id text, batch_number bigint, incarnation_id text, sender text, fenced_partitions integer[], fenced_epochs bigint[],
  new_commands comby.new_command[], moved comby.moved_aggregate[], new_events comby.new_event[], new_rows comby.put_row[],
  row_entries text[], contents bytea, out head bigint, out recorded bigint
) language plpgsql as $$
declare
  places  tid[]; -- where the aggregates are stored; null for a new one
  stands  boolean;
  inserts boolean;
  updates boolean;
  stored  record;
begin
  perform pg_advisory_xact_lock(comby.append_lock());

  -- What is stored.
  select
    exists (select from comby.batches as batch where batch.writer = writer_id and batch.number >= batch_number) as decided,
    exists (select from comby.log where log.incarnation = incarnation_id) as same_life,
    coalesce(event.position, 0) as head, greatest(comby.clock(), event.recorded_at) as now
  into stored
  from (select) as always
  left join lateral (
    select events.position, events.recorded_at from comby.events order by events.position desc limit 1
  ) as event on true;
  if stored.decided then
    select batch.head, batch.recorded into head, recorded
    from comby.decided_batch(writer_id, batch_number) as batch
    where batch.verdicts = '{}';
    return;
  end if;
  if not stored.same_life then
    raise exception using errcode = 'CB002', message = 'the log has another incarnation';
  end if;
  select
    array_agg(guard.place), bool_and(coalesce(guard.version, 0) = given.version), bool_or(guard.place is null),
    bool_or(guard.place is not null)
  into places, stands, inserts, updates
  from unnest(moved) as given
  left join lateral (
    select aggregates.ctid as place, aggregates.version from comby.aggregates
    where aggregates.aggregate_id = given.aggregate_id and aggregates.tenant_id = given.tenant_id
      and aggregates.domain = given.domain
    offset 0
  ) as guard on true;
  if not stands or exists (
    select from unnest(new_commands) as given
    where exists (
      select from comby.commands
      where commands.request_id = given.request_id and commands.tenant_id = given.tenant_id
      offset 0
    ) or given.fenced and exists (
      select from comby.commands as older
      where older.status || '' = 'accepted' and older.aggregate_id = given.aggregate_id
        and older.tenant_id = given.tenant_id and older.domain = given.domain
        and coalesce(older.not_before, stored.now) <= stored.now
      offset 0
    )
  ) or exists (
    select from unnest(fenced_partitions, fenced_epochs) as fence (partition, epoch)
    where fence.epoch is distinct from (
      select partitions.epoch from comby.partitions where partitions.partition = fence.partition offset 0
    )
  ) then
    return;
  end if;

  -- What becomes of it.
  head := stored.head;
  recorded := stored.now;
  if cardinality(new_events) > 0 then
    perform comby.append_events(head, recorded, new_events, contents);
  end if;
  if inserts then
    insert into comby.aggregates (tenant_id, domain, aggregate_id, version, closed)
    select given.tenant_id, given.domain, given.aggregate_id, given.next_version, false
    from unnest(moved) with ordinality as given (tenant_id, domain, aggregate_id, version, next_version, number)
    where places[given.number] is null and given.next_version <> given.version;
  end if;
  if updates then
    perform comby.move_aggregates(places, moved);
  end if;
  insert into comby.commands (
    tenant_id, request_id, accept_seq, domain, aggregate_id, partition, fingerprint, type, expected_version, not_before,
    status, attempts, accepted_at, finished_at, version, position, context, outcome, command
  )
  select
    given.tenant_id, given.request_id, nextval('comby.accept_seq'), given.domain, given.aggregate_id, given.partition,
    substr(contents, given.fingerprint_at, given.context_at - given.fingerprint_at), given.type, given.expected_version,
    given.not_before, given.status, given.attempts, recorded, recorded, given.version,
    case when given.last_event > 0 then head + given.last_event else 0 end,
    substr(contents, given.context_at, given.outcome_at - given.context_at),
    substr(contents, given.outcome_at, given.command_at - given.outcome_at),
    substr(contents, given.command_at, given.end_at - given.command_at)
  from unnest(new_commands) as given;
  if cardinality(new_rows) > 0 then
    perform comby.put_rows(new_rows, row_entries, contents);
  end if;
  head := head + cardinality(new_events);
  insert into comby.batches (writer, number, head, recorded_at, verdicts, numbers)
  values (writer_id, batch_number, head, recorded, '{}', '{}');
  if batch_number % 16 = 0 then
    delete from comby.batches as batch where batch.writer = writer_id and batch.number <= batch_number - 16;
  end if;
  if sender is not null then
    perform pg_notify('comby', concat_ws(' ', sender, head, 1, 0)); -- read by announcing.py
  end if;
end
$$;

-- Appends events behind the head, each as a stream carries it.
create function comby.append_events(head bigint, recorded bigint, new_events comby.new_event[], contents bytea)
returns void language plpgsql as $$
declare
  time_field constant bytea := comby.time_field(recorded);
begin
  insert into comby.events (
    position, tenant_id, domain, aggregate_id, version, type, recorded_at, request_id, record_start, record_size, element
  )
  select
    measured.position, measured.tenant_id, measured.domain, measured.aggregate_id, measured.version, measured.type, recorded,
    measured.request_id, 1 + length(measured.prefix), measured.record_size,
    '\x0a'::bytea || measured.prefix || substr(contents, measured.record_at, measured.record_size) || measured.tail
  from (
    select ended.*, comby.varint(ended.record_size + length(ended.tail)) as prefix
    from (
      select
        placed.*, placed.end_at - placed.record_at as record_size, '\x08'::bytea || comby.varint(placed.position) || time_field as tail
      from (
        select given.*, head + given.number as position
        from unnest(new_events) with ordinality as given (
          tenant_id, domain, aggregate_id, type, request_id, version, record_at, end_at, number
        )
        offset 0
      ) as placed
      offset 0
    ) as ended
    offset 0
  ) as measured;
end
$$;

-- Moves the versions of aggregates that are stored, where they lie (see 0004_rows.sql).
create function comby.move_aggregates(places tid[], moved comby.moved_aggregate[]) returns void
language plpgsql set enable_indexscan = off as $$
begin
  update comby.aggregates set version = given.next_version
  from unnest(moved) with ordinality as given (tenant_id, domain, aggregate_id, version, next_version, number)
  where aggregates.ctid = places[given.number] and given.next_version <> given.version;
end
$$;

-- Writes rows of read models, which differ in their keys.
create function comby.put_rows(new_rows comby.put_row[], new_entries text[], contents bytea) returns void
language plpgsql as $$
declare
  places  tid[];
  befores text[]; -- the entries of rows that are stored
  changed boolean;
  inserts boolean;
  updates boolean;
begin
  select
    array_agg(row.place), array_agg(row.entries), bool_or(row.entries is distinct from given.entries),
    bool_or(row.place is null), bool_or(row.place is not null)
  into places, befores, changed, inserts, updates
  from unnest(new_rows, new_entries) as given (model, tenant_id, key, stamp, version, row_at, end_at, entries)
  left join lateral (
    select rows.ctid as place, rows.entries from comby.rows
    where rows.model = given.model and rows.tenant_id = given.tenant_id and rows.key = given.key
    offset 0
  ) as row on true;
  if changed then
    insert into comby.row_entries (model, tenant_id, entry, key)
    select given.model, given.tenant_id, one.entry, given.key
    from unnest(new_rows, new_entries) with ordinality as given (
      model, tenant_id, key, stamp, version, row_at, end_at, entries, number
    )
    cross join lateral string_to_table(given.entries, e'\x01\x04') as one (entry)
    where befores[given.number] is null
      or befores[given.number] <> given.entries and one.entry <> all (comby.entries_of(befores[given.number]));
    if updates then
      perform comby.delete_entries(
        (
          select array_agg(entry.place)
          from unnest(new_rows, new_entries) with ordinality as given (
            model, tenant_id, key, stamp, version, row_at, end_at, entries, number
          )
          cross join lateral string_to_table(befores[given.number], e'\x01\x04') as one (entry)
          cross join lateral (
            select row_entries.ctid as place from comby.row_entries
            where row_entries.model = given.model and row_entries.tenant_id = given.tenant_id
              and row_entries.entry = one.entry and row_entries.key = given.key
            offset 0
          ) as entry
          where befores[given.number] <> given.entries and one.entry <> all (comby.entries_of(given.entries))
        )
      );
    end if;
  end if;
  if inserts then
    insert into comby.rows (model, tenant_id, key, version, stamp, entries, row)
    select given.model, given.tenant_id, given.key, given.version, given.stamp, given.entries,
      substr(contents, given.row_at, given.end_at - given.row_at)
    from unnest(new_rows, new_entries) with ordinality as given (
      model, tenant_id, key, stamp, version, row_at, end_at, entries, number
    )
    where places[given.number] is null;
  end if;
  if updates then
    perform comby.replace_rows(places, new_rows, new_entries, contents);
  end if;
end
$$;

-- Changes rows that are stored, where they lie.
create function comby.replace_rows(places tid[], new_rows comby.put_row[], new_entries text[], contents bytea)
returns void language plpgsql set enable_indexscan = off as $$
begin
  update comby.rows
  set version = given.version, stamp = given.stamp, entries = given.entries,
      row = substr(contents, given.row_at, given.end_at - given.row_at)
  from unnest(new_rows, new_entries) with ordinality as given (
    model, tenant_id, key, stamp, version, row_at, end_at, entries, number
  )
  where rows.ctid = places[given.number];
end
$$;
