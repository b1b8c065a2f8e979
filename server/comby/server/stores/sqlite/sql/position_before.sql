-- A binary search: positions have no gaps, and recorded_at never falls.
with recursive search (low, high) as (
  select 0, :head
  union all
  select
    iif(event.recorded_at < :time, event.position, search.low),
    iif(event.recorded_at < :time, search.high, event.position - 1)
  from search cross join events as event on event.position = (search.low + search.high + 1) / 2
  where search.low < search.high
)
select low from search where low = high
