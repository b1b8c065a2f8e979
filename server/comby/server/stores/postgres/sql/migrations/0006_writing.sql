-- What `append` writes once a batch is decided, each with one statement.

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
    measured.position, tenants[measured.aggregate], domains[measured.aggregate], ids[measured.aggregate],
    measured.version, measured.type, recorded, measured.request_id, 1 + length(measured.prefix), measured.record_size,
    '\x0a'::bytea || measured.prefix || measured.record || measured.tail
  from (
    select ended.*, comby.varint(ended.record_size + length(ended.tail)) as prefix
    from (
      select
        placed.*, length(placed.record) as record_size, '\x08'::bytea || comby.varint(placed.position) || time_field as tail
      from (
        select given.*, shifts[given.request] + given.ordinal as position
        from unnest(requests, aggregates, versions, types, request_ids, records)
          with ordinality as given (request, aggregate, version, type, request_id, record, ordinal)
        where shifts[given.request] is not null
        offset 0
      ) as placed
      offset 0
    ) as ended
    offset 0
  ) as measured;
end
$$;

-- Stores the versions of the aggregates that changed.
create function comby.write_aggregates(
  changed boolean[], tenants text[], domains text[], ids text[], versions bigint[], closes boolean[]
) returns void language plpgsql as $$
begin
  insert into comby.aggregates (tenant_id, domain, aggregate_id, version, closed)
  select given.tenant_id, given.domain, given.aggregate_id, given.version, given.closed
  from unnest(tenants, domains, ids, versions, closes)
    with ordinality as given (tenant_id, domain, aggregate_id, version, closed, ordinal)
  where changed[given.ordinal]
  on conflict (tenant_id, domain, aggregate_id) do update set version = excluded.version, closed = excluded.closed;
end
$$;
