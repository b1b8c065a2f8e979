-- What `append` writes once a batch is decided, each with one statement. Arrays are read by number, in place of unnest: what is wide is
-- not copied then.

-- Appends the events of the requests that have a shift: an event's position is its place among the events of the batch, shifted.
create function comby.write_events(
  shifts bigint[], recorded bigint, tenants text[], domains text[], ids text[],
  requests integer[], aggregates integer[], versions bigint[], types text[], request_ids text[], records bytea[]
) returns void language plpgsql as $$
declare
  time_field constant bytea := comby.time_field(recorded);
begin
  insert into comby.events (
    position, tenant_id, domain, aggregate_id, version, type, recorded_at, request_id, record_start, record_size, element
  )
  select
    measured.position, tenants[aggregates[number]], domains[aggregates[number]], ids[aggregates[number]], versions[number],
    types[number], recorded, request_ids[number], 1 + length(measured.prefix), measured.record_size,
    '\x0a'::bytea || measured.prefix || records[number] || measured.tail
  from (
    select ended.*, comby.varint(ended.record_size + length(ended.tail)) as prefix
    from (
      select
        placed.number, placed.position, length(records[placed.number]) as record_size,
        '\x08'::bytea || comby.varint(placed.position) || time_field as tail
      from (
        select given.number, shifts[requests[given.number]] + given.number as position
        from generate_series(1, cardinality(requests)) as given (number)
        where shifts[requests[given.number]] is not null
        offset 0
      ) as placed
      offset 0
    ) as ended
    offset 0
  ) as measured;
end
$$;

-- Stores the versions of aggregates that are new.
create function comby.insert_aggregates(
  changed boolean[], stored tid[], tenants text[], domains text[], ids text[], versions bigint[], closes boolean[]
) returns void language plpgsql as $$
begin
  insert into comby.aggregates (tenant_id, domain, aggregate_id, version, closed)
  select tenants[number], domains[number], ids[number], versions[number], closes[number]
  from generate_series(1, cardinality(changed)) as number
  where changed[number] and stored[number] is null;
end
$$;

-- Moves the versions of the others, where they lie (see 0004_rows.sql).
create function comby.update_aggregates(changed boolean[], stored tid[], versions bigint[], closes boolean[]) returns void
language plpgsql set enable_indexscan = off as $$
begin
  update comby.aggregates set version = versions[number], closed = closes[number]
  from generate_series(1, cardinality(changed)) as number
  where aggregates.ctid = stored[number] and changed[number];
end
$$;

-- Stores the new commands that were not known, each as it stands at the end of the batch.
create function comby.insert_commands(
  inserted integer[], new_commands integer[], tenants text[], requests text[], sequences bigint[], new_domains text[],
  new_aggregates text[], new_partitions integer[], new_fingerprints bytea[], new_types text[], new_expected bigint[],
  new_not_before bigint[], numbers_of_statuses smallint[], attempt_counts integer[], recorded bigint, finished bigint[],
  versions bigint[], positions bigint[], new_contexts bytea[], outcome_requests integer[], outcomes bytea[],
  new_payloads bytea[]
) returns void language plpgsql as $$
begin
  insert into comby.commands (
    tenant_id, request_id, accept_seq, domain, aggregate_id, partition, fingerprint, type, expected_version, not_before,
    status, attempts, accepted_at, finished_at, version, position, context, outcome, command
  )
  select
    tenants[place], requests[place], sequences[place], new_domains[number], new_aggregates[number], new_partitions[number],
    new_fingerprints[number], new_types[number], new_expected[number], new_not_before[number],
    (comby.statuses())[numbers_of_statuses[place]], attempt_counts[place], recorded, finished[place], versions[place],
    positions[place], new_contexts[number],
    case when outcome_requests[place] > 0 then outcomes[outcome_requests[place]] else '' end, new_payloads[number]
  from (
    select number, new_commands[number] as place from generate_series(1, cardinality(new_commands)) as number
  ) as given
  where inserted[place] = number;
end
$$;

-- Moves stored commands, where they lie, each from where the batch found it. Raises an error where one was not there.
create function comby.update_commands(
  updated boolean[], stored tid[], stored_sequences bigint[], sequences bigint[], numbers_of_statuses smallint[],
  attempt_counts integer[], finished bigint[], versions bigint[], positions bigint[], outcome_requests integer[],
  outcomes bytea[]
) returns void language plpgsql set enable_indexscan = off as $$
declare
  moved bigint;
begin
  update comby.commands as entry
  set accept_seq = sequences[number], status = (comby.statuses())[numbers_of_statuses[number]],
      attempts = attempt_counts[number], finished_at = finished[number], version = versions[number],
      position = positions[number],
      outcome = case outcome_requests[number]
        when -1 then entry.outcome when 0 then '' else outcomes[outcome_requests[number]]
      end
  from generate_series(1, array_upper(updated, 1)) as number
  where entry.ctid = stored[number] and updated[number] and entry.accept_seq = stored_sequences[number]
    and entry.status in ('accepted', 'parked');
  get diagnostics moved = row_count;
  if moved <> cardinality(array_positions(updated, true)) then
    raise exception 'a command has moved';
  end if;
end
$$;

-- What was decided of a batch before. A later one of its writer tells that it comes too late to be decided.
create function comby.decided_batch(writer_id text, batch_number bigint) returns table (
  head bigint, recorded bigint, verdicts smallint[], numbers bigint[], conflict_checks integer[], conflict_actuals bigint[],
  shown_commands integer[], shown_sequences bigint[], shown_statuses smallint[], shown_attempts integer[],
  shown_finished bigint[], shown_versions bigint[], shown_positions bigint[], shown_outcomes bytea[]
) language plpgsql as $$
begin
  if exists (select from comby.batches as batch where batch.writer = writer_id and batch.number > batch_number) then
    raise exception using errcode = 'CB001', message = 'a later batch of this writer was decided';
  end if;
  return query
    select
      batch.head, batch.recorded_at, batch.verdicts, batch.numbers, batch.conflict_checks, batch.conflict_actuals,
      batch.shown_commands, batch.shown_sequences, batch.shown_statuses, batch.shown_attempts, batch.shown_finished,
      batch.shown_versions, batch.shown_positions, batch.shown_outcomes
    from comby.batches as batch
    where batch.writer = writer_id and batch.number = batch_number;
end
$$;
