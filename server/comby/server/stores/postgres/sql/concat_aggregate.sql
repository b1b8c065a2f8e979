-- The elements of an aggregate's events, end to end.
select string_agg(element, '' order by version)
from (
  select version, element from comby.events
  where tenant_id = $1 and domain = $2 and aggregate_id = $3 and version > $4 and ($5::bigint is null or version <= $5)
  order by version
  limit $6
) as history
