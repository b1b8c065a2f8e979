-- The append: decides the requests of a batch in their order and writes what they cause, in the one transaction that the call is.
--
-- Aggregates, commands, consumers and fenced partitions are named once and referred to by ordinal, from 1; 0 is none. `check_ends[n]` is
-- the last check of request n. Nothing is looked up or written while requests are decided: the arrays hold what is stored, as changed so
-- far. A batch that was decided before, by its writer and number, is answered again and writes nothing.
--
-- A plan is made once for each connection, maybe while tables are empty. So no statement leaves the planner a choice: whatever is looked
-- up is a subquery behind `offset 0`, and what is changed is a row by its key, or an upsert.
create function comby.append(
  writer_id text, batch_number bigint, incarnation_id text, sender text,
  aggregate_tenants text[], aggregate_domains text[], aggregate_ids text[],
  command_tenants text[], command_requests text[],
  fenced_partitions integer[], consumer_names text[], consumer_generations bigint[],
  new_commands integer[], new_domains text[], new_aggregates text[], new_partitions integer[], new_fingerprints bytea[],
  new_types text[], new_expected bigint[], new_not_before bigint[], new_attempts integer[], new_contexts bytea[],
  new_payloads bytea[],
  kinds smallint[], commands integer[], items integer[], ends smallint[], versions bigint[], outcomes bytea[],
  fences integer[], epochs bigint[], check_ends integer[], event_ends integer[],
  check_aggregates integer[], check_versions bigint[], check_afters bigint[], check_closes boolean[],
  event_requests integer[], event_aggregates integer[], event_versions bigint[], event_types text[],
  event_request_ids text[], event_records bytea[],
  row_requests integer[], row_places integer[], row_models text[], row_tenants text[], row_keys text[],
  row_versions bigint[], row_stamps text[], row_entries text[], row_contents bytea[],
  stamp_models text[], stamp_names text[],
  advance_consumers integer[], advance_befores bigint[], advance_afters bigint[], waiting_changes text,
  out head bigint, out recorded bigint, out verdicts smallint[], out numbers bigint[],
  out conflict_checks integer[], out conflict_actuals bigint[],
  out shown_commands integer[], out shown_sequences bigint[], out shown_statuses smallint[],
  out shown_attempts integer[], out shown_finished bigint[], out shown_versions bigint[],
  out shown_positions bigint[], out shown_outcomes bytea[]
) language plpgsql as $$
declare
  kind_accept        constant smallint := 1; -- the kinds of requests, as in batch.py
  kind_start         constant smallint := 2;
  kind_finish        constant smallint := 3;
  kind_finish_new    constant smallint := 4;
  kind_cancel        constant smallint := 5;
  kind_retry         constant smallint := 6;
  kind_refresh       constant smallint := 7;
  kind_advance       constant smallint := 8;
  is_committed       constant smallint := 1; -- the verdicts, as in verdicts.py
  is_accepted        constant smallint := 2;
  is_known           constant smallint := 3;
  is_started         constant smallint := 4;
  is_not_open        constant smallint := 5;
  is_moved           constant smallint := 6;
  is_conflict        constant smallint := 7;
  is_refreshed       constant smallint := 8;
  is_advanced        constant smallint := 9;
  is_checkpoint_moved constant smallint := 10;
  is_fenced          constant smallint := 11;
  is_behind          constant smallint := 12;
  accepted           constant smallint := 1; -- the statuses of commands, as in statuses.py and comby.statuses()
  parked             constant smallint := 4;
  cancelled          constant smallint := 5;

  request_count      constant integer := cardinality(kinds);
  command_count      constant integer := cardinality(command_requests);
  aggregate_versions bigint[];
  aggregate_closed   boolean[];
  aggregate_places   tid[]; -- where each is stored; null for a new one
  aggregate_changed  boolean[] := array_fill(false, array[cardinality(aggregate_ids)]);
  aggregate_inserts  boolean := false;
  aggregate_updates  boolean := false;
  command_statuses   smallint[] := array_fill(null::smallint, array[command_count]);
  command_sequences  bigint[] := array_fill(null::bigint, array[command_count]);
  command_attempts   integer[] := array_fill(null::integer, array[command_count]);
  command_finished   bigint[] := array_fill(null::bigint, array[command_count]);
  command_versions   bigint[] := array_fill(null::bigint, array[command_count]);
  command_positions  bigint[] := array_fill(null::bigint, array[command_count]);
  outcome_requests   integer[] := array_fill(0, array[command_count]); -- whose outcome a command has; -1: the stored one
  inserted           integer[] := array_fill(0, array[command_count]); -- the new command that it is, in this batch
  updated            boolean[]; -- whether it is stored, and changed
  reopened           boolean[];
  stored_places      tid[];
  stored_sequences   bigint[];
  stored_outcomes    bytea[];
  stored_partitions  integer[];
  stored_domains     text[];
  stored_aggregates  text[];
  first_waiting      bigint[]; -- the first command that waits for the aggregate of a stored one, and of a new one
  new_first_waiting  bigint[];
  opened_buckets     boolean[]; -- by a hash of the aggregate's id: whether the batch opened a command of it
  partition_epochs   bigint[];
  consumer_positions bigint[];
  consumer_changed   boolean[];
  wrote              boolean[] := array_fill(false, array[request_count]);
  shifts             bigint[] := array_fill(null::bigint, array[request_count]);
  opened             integer[] := '{}';
  ended              boolean := false;

  stored             record;
  first_head         bigint;
  kind               smallint;
  item               integer;
  command            integer;
  aggregate          integer;
  first_check        integer := 1;
  last_check         integer;
  first_event        integer := 1;
  last_event         integer;
  conflicts          boolean;
  behind             boolean;
  show               boolean;
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
    select * into head, recorded, verdicts, numbers, conflict_checks, conflict_actuals, shown_commands, shown_sequences,
      shown_statuses, shown_attempts, shown_finished, shown_versions, shown_positions, shown_outcomes
    from comby.decided_batch(writer_id, batch_number);
    return;
  end if;
  if not stored.same_life then
    raise exception using errcode = 'CB002', message = 'the log has another incarnation';
  end if;
  head := stored.head;
  first_head := head;
  recorded := stored.now;
  select
    coalesce(array_agg(coalesce(guard.version, 0) order by number), '{}'),
    array_agg(coalesce(guard.closed, false) order by number),
    array_agg(guard.place order by number)
  into aggregate_versions, aggregate_closed, aggregate_places
  from generate_series(1, cardinality(aggregate_ids)) as number
  left join lateral (
    select aggregates.ctid as place, aggregates.version, aggregates.closed from comby.aggregates
    where aggregates.aggregate_id = aggregate_ids[number] and aggregates.tenant_id = aggregate_tenants[number]
      and aggregates.domain = aggregate_domains[number]
    offset 0
  ) as guard on true;
  for stored in
    select number, entry.*
    from generate_series(1, command_count) as number
    cross join lateral (
      select
        commands.ctid as place, commands.status, commands.accept_seq, commands.attempts, commands.finished_at,
        commands.version, commands.position, commands.outcome, commands.partition, commands.domain, commands.aggregate_id
      from comby.commands
      where commands.request_id = command_requests[number] and commands.tenant_id = command_tenants[number]
      offset 0
    ) as entry
  loop
    command := stored.number;
    stored_places[command] := stored.place;
    command_statuses[command] := array_position(comby.statuses(), stored.status);
    command_sequences[command] := stored.accept_seq;
    stored_sequences[command] := stored.accept_seq;
    command_attempts[command] := stored.attempts;
    command_finished[command] := stored.finished_at;
    command_versions[command] := stored.version;
    command_positions[command] := stored.position;
    outcome_requests[command] := -1;
    stored_outcomes[command] := stored.outcome;
    stored_partitions[command] := stored.partition;
    stored_domains[command] := stored.domain;
    stored_aggregates[command] := stored.aggregate_id;
  end loop;
  if cardinality(fenced_partitions) > 0 then
    select array_agg(owned.epoch order by number) into partition_epochs
    from generate_series(1, cardinality(fenced_partitions)) as number
    left join lateral (
      select partitions.epoch from comby.partitions where partitions.partition = fenced_partitions[number] offset 0
    ) as owned on true;
    first_waiting := comby.first_waiting(
      recorded, array(select number from generate_series(1, command_count) as number), command_tenants, stored_domains,
      stored_aggregates
    );
    new_first_waiting := comby.first_waiting(recorded, new_commands, command_tenants, new_domains, new_aggregates);
  end if;
  if cardinality(consumer_names) > 0 then
    select array_agg(consumer.position order by number) into consumer_positions
    from generate_series(1, cardinality(consumer_names)) as number
    left join lateral (
      select consumers.position from comby.consumers
      where consumers.name = consumer_names[number] and consumers.generation = consumer_generations[number]
      offset 0
    ) as consumer on true;
  end if;

  -- What becomes of each request.
  for request in 1 .. request_count loop
    kind := kinds[request];
    command := commands[request];
    item := items[request];
    last_check := check_ends[request];
    last_event := event_ends[request];
    show := false;
    behind := false;
    numbers[request] := 0;
    if fences[request] > 0 and partition_epochs[fences[request]] is distinct from abs(epochs[request]) then
      verdicts[request] := is_fenced;
      first_check := last_check + 1;
      first_event := last_event + 1;
      continue;
    end if;

    if kind = kind_finish_new or kind = kind_finish then
      if kind = kind_finish_new then
        if fences[request] > 0 and epochs[request] > 0 -- a negative epoch: the owner knows all older commands
          and (new_first_waiting[item] is not null or opened_buckets[hashtext(new_aggregates[item]) & 1023])
        then
          behind := comby.is_behind(
            9223372036854775807, command_tenants[command], new_domains[item], new_aggregates[item], recorded,
            command_tenants, command_requests, command_statuses, command_sequences, inserted, reopened, new_domains,
            new_aggregates, new_not_before
          );
        end if;
        show := not behind and command_statuses[command] is not null;
      else
        show := command_statuses[command] is distinct from accepted;
      end if;
      conflicts := false;
      if not (behind or show) then
        for number in first_check .. last_check loop
          if aggregate_versions[check_aggregates[number]] <> check_versions[number] then
            conflicts := true;
            conflict_checks := array_append(conflict_checks, number);
            conflict_actuals := array_append(conflict_actuals, aggregate_versions[check_aggregates[number]]);
          end if;
        end loop;
      end if;
      if behind then
        verdicts[request] := is_behind;
      elsif show then
        verdicts[request] := case when kind = kind_finish_new then is_known else is_not_open end;
      elsif conflicts then
        verdicts[request] := is_conflict;
      else
        for number in first_check .. last_check loop
          aggregate := check_aggregates[number];
          if check_closes[number] then
            aggregate_closed[aggregate] := true;
          elsif check_afters[number] = check_versions[number] then
            continue;
          end if;
          aggregate_versions[aggregate] := check_afters[number];
          aggregate_changed[aggregate] := true;
          if aggregate_places[aggregate] is null then
            aggregate_inserts := true;
          else
            aggregate_updates := true;
          end if;
        end loop;
        if last_event >= first_event then
          shifts[request] := head + 1 - first_event;
          head := head + last_event + 1 - first_event;
          numbers[request] := head;
        end if;
        if kind = kind_finish_new then
          inserted[command] := item;
          command_sequences[command] := nextval('comby.accept_seq');
          command_attempts[command] := new_attempts[item];
        else
          updated[command] := inserted[command] = 0;
        end if;
        command_statuses[command] := ends[request];
        command_finished[command] := recorded;
        command_versions[command] := versions[request];
        command_positions[command] := numbers[request];
        outcome_requests[command] := request;
        wrote[request] := true;
        verdicts[request] := is_committed;
        ended := true;
      end if;

    elsif kind = kind_accept then
      if command_statuses[command] is not null then
        verdicts[request] := is_known;
        show := true;
      else
        inserted[command] := item;
        command_statuses[command] := accepted;
        command_sequences[command] := nextval('comby.accept_seq');
        command_attempts[command] := new_attempts[item];
        command_versions[command] := 0;
        command_positions[command] := 0;
        opened := array_append(opened, new_partitions[item]);
        opened_buckets[hashtext(new_aggregates[item]) & 1023] := true;
        verdicts[request] := is_accepted;
        numbers[request] := command_sequences[command];
      end if;

    elsif kind = kind_start then
      if command_statuses[command] is distinct from accepted then
        verdicts[request] := is_not_open;
        show := true;
      else
        if fences[request] > 0 and (
          first_waiting[command] < command_sequences[command]
          or stored_sequences[command] is distinct from command_sequences[command]
        ) then
          behind := comby.is_behind(
            command_sequences[command], command_tenants[command],
            coalesce(new_domains[inserted[command]], stored_domains[command]),
            coalesce(new_aggregates[inserted[command]], stored_aggregates[command]), recorded,
            command_tenants, command_requests, command_statuses, command_sequences, inserted, reopened, new_domains,
            new_aggregates, new_not_before
          );
        end if;
        if behind then
          verdicts[request] := is_behind;
        else
          command_attempts[command] := command_attempts[command] + 1;
          updated[command] := inserted[command] = 0;
          verdicts[request] := is_started;
          numbers[request] := command_attempts[command];
        end if;
      end if;

    elsif kind = kind_cancel then
      show := true;
      if command_statuses[command] = parked or command_statuses[command] = accepted and command_attempts[command] = 0 then
        command_statuses[command] := cancelled;
        command_finished[command] := recorded;
        outcome_requests[command] := request;
        updated[command] := inserted[command] = 0;
        ended := true;
        verdicts[request] := is_moved;
      else
        verdicts[request] := is_not_open;
      end if;

    elsif kind = kind_retry then
      show := true;
      if command_statuses[command] = parked then
        command_statuses[command] := accepted;
        command_sequences[command] := nextval('comby.accept_seq');
        command_attempts[command] := 0;
        command_finished[command] := null;
        command_versions[command] := 0;
        command_positions[command] := 0;
        outcome_requests[command] := 0;
        updated[command] := inserted[command] = 0;
        reopened[command] := true;
        opened_buckets[hashtext(coalesce(new_aggregates[inserted[command]], stored_aggregates[command])) & 1023] := true;
        opened := array_append(opened, coalesce(new_partitions[inserted[command]], stored_partitions[command]));
        verdicts[request] := is_moved;
      else
        verdicts[request] := is_not_open;
      end if;

    elsif kind = kind_refresh then
      verdicts[request] := is_refreshed;
      if aggregate_versions[item] = versions[request] then
        numbers[request] := 1;
        wrote[request] := true;
      end if;

    elsif kind = kind_advance then
      if consumer_positions[advance_consumers[item]] = advance_befores[item] then
        consumer_positions[advance_consumers[item]] := advance_afters[item];
        consumer_changed[advance_consumers[item]] := true;
        wrote[request] := true;
        verdicts[request] := is_advanced;
      else
        verdicts[request] := is_checkpoint_moved;
        numbers[request] := consumer_positions[advance_consumers[item]];
      end if;
    end if;

    if show then -- as the command stands at this point of the batch
      if command_statuses[command] is null then
        numbers[request] := null;
      else
        shown_commands := array_append(shown_commands, command);
        shown_sequences := array_append(shown_sequences, command_sequences[command]);
        shown_statuses := array_append(shown_statuses, command_statuses[command]);
        shown_attempts := array_append(shown_attempts, command_attempts[command]);
        shown_finished := array_append(shown_finished, command_finished[command]);
        shown_versions := array_append(shown_versions, command_versions[command]);
        shown_positions := array_append(shown_positions, command_positions[command]);
        shown_outcomes := array_append(
          shown_outcomes,
          case outcome_requests[command] when -1 then stored_outcomes[command] when 0 then '' else outcomes[outcome_requests[command]] end
        );
        numbers[request] := cardinality(shown_commands);
      end if;
    end if;
    first_check := last_check + 1;
    first_event := last_event + 1;
  end loop;

  -- What they cause.
  if head > first_head then
    perform comby.write_events(
      shifts, recorded, aggregate_tenants, aggregate_domains, aggregate_ids,
      event_requests, event_aggregates, event_versions, event_types, event_request_ids, event_records
    );
  end if;
  if aggregate_inserts then
    perform comby.insert_aggregates(
      aggregate_changed, aggregate_places, aggregate_tenants, aggregate_domains, aggregate_ids, aggregate_versions,
      aggregate_closed
    );
  end if;
  if aggregate_updates then
    perform comby.update_aggregates(aggregate_changed, aggregate_places, aggregate_versions, aggregate_closed);
  end if;
  if cardinality(new_commands) > 0 then
    perform comby.insert_commands(
      inserted, new_commands, command_tenants, command_requests, command_sequences, new_domains, new_aggregates,
      new_partitions, new_fingerprints, new_types, new_expected, new_not_before, command_statuses, command_attempts, recorded,
      command_finished, command_versions, command_positions, new_contexts, outcome_requests, outcomes, new_payloads
    );
  end if;
  if updated is not null then
    perform comby.update_commands(
      updated, stored_places, stored_sequences, command_sequences, command_statuses, command_attempts, command_finished,
      command_versions, command_positions, outcome_requests, outcomes
    );
  end if;
  if cardinality(row_places) > 0 then
    perform comby.write_rows(
      wrote, row_requests, row_places, row_models, row_tenants, row_keys, row_versions, row_stamps, row_entries, row_contents
    );
  end if;
  if cardinality(stamp_models) > 0 then
    insert into comby.stamps (model, stamp)
    select distinct stamp_models[number], stamp_names[number] from generate_series(1, cardinality(stamp_models)) as number
    on conflict (model, stamp) do nothing;
  end if;
  if consumer_changed is not null then
    for ordinal in 1 .. cardinality(consumer_names) loop
      update comby.consumers as consumer set position = consumer_positions[ordinal]
      where consumer_changed[ordinal] and consumer.name = consumer_names[ordinal]
        and consumer.generation = consumer_generations[ordinal];
    end loop;
  end if;
  if waiting_changes <> '' then
    perform comby.change_waiting(wrote, waiting_changes::jsonb, recorded);
  end if;

  -- So that a writer that lost its connection can ask again.
  if true = any (wrote) or updated is not null or opened <> '{}' then
    insert into comby.batches
    values (
      writer_id, batch_number, head, recorded, verdicts, numbers, conflict_checks, conflict_actuals, shown_commands,
      shown_sequences, shown_statuses, shown_attempts, shown_finished, shown_versions, shown_positions, shown_outcomes
    );
    if batch_number % 16 = 0 then
      delete from comby.batches as batch where batch.writer = writer_id and batch.number <= batch_number - 16;
    end if;
    if sender is not null and (head > first_head or ended or opened <> '{}') then
      perform pg_notify( -- read by announcing.py
        'comby',
        concat_ws(
          ' ', sender, head, ended::integer, 0, (select string_agg(distinct part::text, ',') from unnest(opened) as part)
        )
      );
    end if;
  end if;
end
$$;
