-- The order of an aggregate's commands, which several instances accept: whether a fenced request would overtake an older one.

-- The first accepted command that is due of each of some aggregates, as stored.
create function comby.first_waiting(
  now bigint, places integer[], tenants text[], domains text[], ids text[]
) returns bigint[] language plpgsql stable as $$
begin
  return array(
    select waiting.first
    from generate_series(1, cardinality(places)) as number
    left join lateral (
      select min(entry.accept_seq + 0) as first from comby.commands as entry
      where entry.status || '' = 'accepted' and entry.aggregate_id = ids[number]
        and entry.tenant_id = tenants[places[number]] and entry.domain = domains[number]
        and coalesce(entry.not_before, now) <= now
      offset 0
    ) as waiting on true
    order by number
  );
end
$$;

-- Tells whether an accepted command of an aggregate that is due comes before a number of the accept order, as a batch stands at this point.
-- `inserted` and `reopened` tell which commands of the batch it opened itself; the others are looked up, without those that it moved.
create function comby.is_behind(
  own_sequence bigint, tenant text, domain_name text, id text, now bigint,
  tenants text[], requests text[], statuses smallint[], sequences bigint[], inserted integer[], reopened boolean[],
  new_domains text[], new_aggregates text[], new_not_before bigint[]
) returns boolean language plpgsql stable as $$
declare
  accepted constant smallint := 1;
begin
  for place in 1 .. cardinality(requests) loop
    continue when statuses[place] is distinct from accepted or sequences[place] >= own_sequence;
    if inserted[place] > 0 and tenants[place] = tenant and new_domains[inserted[place]] = domain_name
      and new_aggregates[inserted[place]] = id and coalesce(new_not_before[inserted[place]], now) <= now
    then
      return true;
    end if;
    if reopened[place] and exists (
      select from comby.commands as entry
      where entry.tenant_id = tenants[place] and entry.request_id = requests[place]
        and entry.tenant_id = tenant and entry.domain = domain_name and entry.aggregate_id = id
        and coalesce(entry.not_before, now) <= now
    ) then
      return true;
    end if;
  end loop;
  return exists (
    select from comby.commands as entry
    where entry.status || '' = 'accepted' and entry.tenant_id = tenant and entry.domain = domain_name
      and entry.aggregate_id = id and entry.accept_seq < own_sequence and coalesce(entry.not_before, now) <= now
      and not exists (
        select from unnest(tenants, requests, statuses) as moved (tenant_id, request_id, status)
        where moved.tenant_id = entry.tenant_id and moved.request_id = entry.request_id
          and moved.status is distinct from accepted
      )
  );
end
$$;
