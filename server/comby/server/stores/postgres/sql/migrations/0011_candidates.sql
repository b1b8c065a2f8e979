-- The positions that a page of events looks at, in its order: by the index that leaves least to look at, which the caller names.
-- `bound` is the exclusive start.
create function comby.candidates(
  index_name text, backwards boolean, bound bigint, most bigint, tenant text, wanted_types text[],
  aggregate_tenant text, aggregate_domain text, aggregate text
) returns setof bigint language plpgsql stable rows 1000 as $$
begin
  case index_name
    when 'log' then
      if backwards then
        return query
          select position from comby.events where position < bound order by position desc limit most;
      else
        return query
          select position from comby.events where position > bound order by position limit most;
      end if;
    when 'tenant' then
      if backwards then
        return query
          select position from comby.events where tenant_id = tenant and position < bound order by position desc limit most;
      else
        return query
          select position from comby.events where tenant_id = tenant and position > bound order by position limit most;
      end if;
    when 'types' then -- the first of each type are merged, so the others are never read
      if backwards then
        return query
          select event.position
          from unnest(wanted_types) as wanted (type)
          cross join lateral (
            select position from comby.events where events.type = wanted.type and position < bound
            order by position desc limit most
          ) as event
          order by event.position desc limit most;
      else
        return query
          select event.position
          from unnest(wanted_types) as wanted (type)
          cross join lateral (
            select position from comby.events where events.type = wanted.type and position > bound
            order by position limit most
          ) as event
          order by event.position limit most;
      end if;
    when 'aggregate' then
      if backwards then
        return query
          select position from comby.events
          where tenant_id = aggregate_tenant and domain = aggregate_domain and aggregate_id = aggregate
            and position < bound
          order by version desc limit most;
      else
        return query
          select position from comby.events
          where tenant_id = aggregate_tenant and domain = aggregate_domain and aggregate_id = aggregate
            and position > bound
          order by version limit most;
      end if;
  end case;
end
$$;
