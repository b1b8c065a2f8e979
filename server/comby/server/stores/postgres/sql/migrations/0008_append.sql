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

  count_requests     constant integer := cardinality(kinds);
  count_commands     constant integer := cardinality(command_requests);
  aggregate_versions bigint[];
  aggregate_closed   boolean[];
  aggregate_changed  boolean[] := array_fill(false, array[cardinality(aggregate_ids)]);
  command_statuses   smallint[] := array_fill(null::smallint, array[count_commands]);
  command_sequences  bigint[] := array_fill(null::bigint, array[count_commands]);
  command_attempts   integer[] := array_fill(null::integer, array[count_commands]);
  command_finished   bigint[] := array_fill(null::bigint, array[count_commands]);
  command_versions   bigint[] := array_fill(null::bigint, array[count_commands]);
  command_positions  bigint[] := array_fill(null::bigint, array[count_commands]);
  outcome_requests   integer[] := array_fill(0, array[count_commands]); -- whose outcome a command has; -1: the stored one
  inserted           integer[] := array_fill(0, array[count_commands]); -- the new command that it is, in this batch
  stored_sequences   bigint[] := array_fill(null::bigint, array[count_commands]);
  stored_outcomes    bytea[];
  stored_partitions  integer[];
  stored_domains     text[];
  stored_aggregates  text[];
  first_waiting      bigint[]; -- of the aggregate of a stored command that is fenced; of that of a new one
  new_first_waiting  bigint[];
  reopened           boolean[];
  opened_buckets     boolean[]; -- by a hash of the aggregate's id: whether the batch opened a command of it
  updated            boolean[];
  partition_epochs   bigint[];
  consumer_positions bigint[];
  consumer_changed   boolean[];
  wrote              boolean[] := array_fill(false, array[count_requests]);
  shifts             bigint[] := array_fill(null::bigint, array[count_requests]);
  opened             integer[] := '{}';
  ended              boolean := false;

  stored             record;
  first_head         bigint;
  kind               smallint;
  item               integer;
  command            integer;
  aggregate          integer;
  first_check        integer := 1;
  first_event        integer := 1;
  conflicts          boolean;
  show               boolean;
begin
  perform pg_advisory_xact_lock(comby.append_lock());

  for stored in select * from comby.batches as batch where batch.writer = writer_id and batch.number >= batch_number loop
    if stored.number > batch_number then
      raise exception using errcode = 'CB001', message = 'a later batch of this writer was decided';
    end if;
    head := stored.head;
    recorded := stored.recorded_at;
    verdicts := stored.verdicts;
    numbers := stored.numbers;
    conflict_checks := stored.conflict_checks;
    conflict_actuals := stored.conflict_actuals;
    shown_commands := stored.shown_commands;
    shown_sequences := stored.shown_sequences;
    shown_statuses := stored.shown_statuses;
    shown_attempts := stored.shown_attempts;
    shown_finished := stored.shown_finished;
    shown_versions := stored.shown_versions;
    shown_positions := stored.shown_positions;
    shown_outcomes := stored.shown_outcomes;
    return;
  end loop;
  if not exists (select from comby.log where log.incarnation = incarnation_id) then
    raise exception using errcode = 'CB002', message = 'the log has another incarnation';
  end if;

  -- What is stored.
  select event.position, event.recorded_at into head, recorded from comby.events as event order by event.position desc limit 1;
  head := coalesce(head, 0);
  first_head := head;
  recorded := greatest(comby.clock(), recorded);
  select
    coalesce(array_agg(coalesce(guard.version, 0) order by wanted.ordinal), '{}'),
    array_agg(coalesce(guard.closed, false) order by wanted.ordinal)
  into aggregate_versions, aggregate_closed
  from unnest(aggregate_tenants, aggregate_domains, aggregate_ids)
    with ordinality as wanted (tenant_id, domain, aggregate_id, ordinal)
  left join lateral (
    select * from comby.aggregates
    where aggregates.tenant_id = wanted.tenant_id and aggregates.domain = wanted.domain
      and aggregates.aggregate_id = wanted.aggregate_id
    offset 0
  ) as guard on true;
  for stored in
    select wanted.ordinal, entry.*
    from unnest(command_tenants, command_requests) with ordinality as wanted (tenant_id, request_id, ordinal)
    cross join lateral (
      select * from comby.commands
      where commands.tenant_id = wanted.tenant_id and commands.request_id = wanted.request_id
      offset 0
    ) as entry
  loop
    command := stored.ordinal;
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
    if cardinality(fenced_partitions) > 0 then
      first_waiting[command] := comby.first_waiting(stored.tenant_id, stored.domain, stored.aggregate_id, recorded);
    end if;
  end loop;
  if cardinality(fenced_partitions) > 0 then
    select array_agg(owned.epoch order by wanted.ordinal) into partition_epochs
    from unnest(fenced_partitions) with ordinality as wanted (partition, ordinal)
    left join lateral (
      select * from comby.partitions where partitions.partition = wanted.partition offset 0
    ) as owned on true;
    for number in 1 .. cardinality(new_commands) loop
      new_first_waiting[number] := comby.first_waiting(
        command_tenants[new_commands[number]], new_domains[number], new_aggregates[number], recorded
      );
    end loop;
  end if;
  if cardinality(consumer_names) > 0 then
    select array_agg(consumer.position order by wanted.ordinal) into consumer_positions
    from unnest(consumer_names, consumer_generations) with ordinality as wanted (name, generation, ordinal)
    left join lateral (
      select * from comby.consumers where consumers.name = wanted.name and consumers.generation = wanted.generation offset 0
    ) as consumer on true;
  end if;

  -- What becomes of each request.
  for request in 1 .. count_requests loop
    kind := kinds[request];
    command := commands[request];
    item := items[request];
    show := false;
    numbers[request] := 0;
    if fences[request] > 0 and partition_epochs[fences[request]] is distinct from epochs[request] then
      verdicts[request] := is_fenced;
    elsif kind = kind_finish_new and fences[request] > 0
      and (new_first_waiting[item] is not null or opened_buckets[hashtext(new_aggregates[item]) & 1023])
      and comby.is_behind(
        9223372036854775807, command_tenants[command], new_domains[item], new_aggregates[item], recorded,
        command_tenants, command_requests, command_statuses, command_sequences, inserted, reopened, new_domains,
        new_aggregates, new_not_before
      )
    then
      verdicts[request] := is_behind;
    elsif kind = kind_start and fences[request] > 0 and command_statuses[command] = accepted
      and (first_waiting[command] < command_sequences[command] or stored_sequences[command] is distinct from command_sequences[command])
      and comby.is_behind(
        command_sequences[command], command_tenants[command],
        coalesce(new_domains[inserted[command]], stored_domains[command]),
        coalesce(new_aggregates[inserted[command]], stored_aggregates[command]), recorded,
        command_tenants, command_requests, command_statuses, command_sequences, inserted, reopened, new_domains,
        new_aggregates, new_not_before
      )
    then
      verdicts[request] := is_behind;
    elsif kind in (kind_finish_new, kind_accept) and command_statuses[command] is not null then
      verdicts[request] := is_known;
      show := true;
    elsif kind = kind_finish and command_statuses[command] is distinct from accepted then
      verdicts[request] := is_not_open;
      show := true;
    elsif kind in (kind_finish_new, kind_finish) then
      conflicts := false;
      for number in first_check .. check_ends[request] loop
        if aggregate_versions[check_aggregates[number]] <> check_versions[number] then
          conflicts := true;
          conflict_checks := array_append(conflict_checks, number);
          conflict_actuals := array_append(conflict_actuals, aggregate_versions[check_aggregates[number]]);
        end if;
      end loop;
      if conflicts then
        verdicts[request] := is_conflict;
      else
        for number in first_check .. check_ends[request] loop
          aggregate := check_aggregates[number];
          if check_closes[number] then
            aggregate_closed[aggregate] := true;
            aggregate_changed[aggregate] := true;
          end if;
          if check_afters[number] <> check_versions[number] then
            aggregate_versions[aggregate] := check_afters[number];
            aggregate_changed[aggregate] := true;
          end if;
        end loop;
        if event_ends[request] >= first_event then
          shifts[request] := head + 1 - first_event;
          head := head + event_ends[request] + 1 - first_event;
          numbers[request] := head;
        end if;
        if kind = kind_finish_new then
          inserted[command] := item;
          command_sequences[command] := nextval('comby.accept_seq');
          command_attempts[command] := new_attempts[item];
        else
          updated[command] := true;
        end if;
        command_statuses[command] := ends[request];
        command_finished[command] := recorded;
        command_versions[command] := versions[request];
        command_positions[command] := numbers[request];
        outcome_requests[command] := request;
        wrote[request] := true;
        ended := true;
        verdicts[request] := is_committed;
      end if;
    elsif kind = kind_accept then
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
    elsif kind = kind_start then
      if command_statuses[command] = accepted then
        command_attempts[command] := command_attempts[command] + 1;
        updated[command] := true;
        verdicts[request] := is_started;
        numbers[request] := command_attempts[command];
      else
        verdicts[request] := is_not_open;
        show := true;
      end if;
    elsif kind = kind_cancel then
      show := true;
      if command_statuses[command] = parked or command_statuses[command] = accepted and command_attempts[command] = 0 then
        command_statuses[command] := cancelled;
        command_finished[command] := recorded;
        outcome_requests[command] := request;
        updated[command] := true;
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
        updated[command] := true;
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
    first_check := check_ends[request] + 1;
    first_event := event_ends[request] + 1;
  end loop;

  -- What they cause.
  if head > first_head then
    perform comby.write_events(
      shifts, recorded, aggregate_tenants, aggregate_domains, aggregate_ids,
      event_requests, event_aggregates, event_versions, event_types, event_request_ids, event_records
    );
  end if;
  if true = any (aggregate_changed) then
    perform comby.write_aggregates(
      aggregate_changed, aggregate_tenants, aggregate_domains, aggregate_ids, aggregate_versions, aggregate_closed
    );
  end if;
  if cardinality(new_commands) > 0 then
    insert into comby.commands (
      tenant_id, request_id, accept_seq, domain, aggregate_id, partition, fingerprint, type, expected_version, not_before,
      status, attempts, accepted_at, finished_at, version, position, context, outcome, command
    )
    select
      command_tenants[given.command], command_requests[given.command], command_sequences[given.command], given.domain,
      given.aggregate_id, given.partition, given.fingerprint, given.type, given.expected, given.not_before,
      (comby.statuses())[command_statuses[given.command]], command_attempts[given.command], recorded, command_finished[given.command],
      command_versions[given.command], command_positions[given.command], given.context,
      case when outcome_requests[given.command] > 0 then outcomes[outcome_requests[given.command]] else '' end,
      given.payload
    from unnest(
      new_commands, new_domains, new_aggregates, new_partitions, new_fingerprints, new_types, new_expected, new_not_before,
      new_contexts, new_payloads
    ) with ordinality as given (
      command, domain, aggregate_id, partition, fingerprint, type, expected, not_before, context, payload, ordinal
    )
    where inserted[given.command] = given.ordinal;
  end if;
  if updated is not null then
    for ordinal in 1 .. count_commands loop
      continue when updated[ordinal] is not true or inserted[ordinal] > 0;
      update comby.commands as entry
      set accept_seq = command_sequences[ordinal], status = (comby.statuses())[command_statuses[ordinal]],
          attempts = command_attempts[ordinal], finished_at = command_finished[ordinal],
          version = command_versions[ordinal], position = command_positions[ordinal],
          outcome = case outcome_requests[ordinal]
            when -1 then entry.outcome when 0 then '' else outcomes[outcome_requests[ordinal]]
          end
      where entry.tenant_id = command_tenants[ordinal] and entry.request_id = command_requests[ordinal]
        and entry.accept_seq = stored_sequences[ordinal] and entry.status in ('accepted', 'parked');
      if not found then
        raise exception 'a command has moved';
      end if;
    end loop;
  end if;
  if cardinality(row_places) > 0 then
    perform comby.write_rows(
      wrote, row_requests, row_places, row_models, row_tenants, row_keys, row_versions, row_stamps, row_entries, row_contents
    );
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
    delete from comby.batches as batch where batch.writer = writer_id and batch.number = batch_number - 16;
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
