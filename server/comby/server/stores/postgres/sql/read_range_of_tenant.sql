-- As read_range_of_log, for one tenant: how many, the last, and their elements, unless they are larger than was asked for.
with page as materialized (
  select position, record_size, element from comby.events where tenant_id = $4 and position > $1 order by position limit $2
)
select
  (select coalesce(max(position), 0) from comby.events) as head,
  count(*) as count,
  max(position) as last,
  case when coalesce(sum(record_size), 0) <= $3 then string_agg(element, '' order by position) end as elements
from page
