-- A binary search: positions have no gaps, and recorded_at never falls.
with recursive search (low, high) as (
  select 0::bigint, coalesce(max(position), 0) from comby.events
  union all
  select
    case when event.recorded_at < $1 then event.position else search.low end,
    case when event.recorded_at < $1 then search.high else event.position - 1 end
  from search
  cross join lateral (
    select * from comby.events where position = (search.low + search.high + 1) / 2 offset 0
  ) as event
  where search.low < search.high
)
select low from search where low = high
