-- Those of the candidates whose events match, one row for each; one without an event where there is none.
with candidate as materialized (
  select position from comby.candidates($1, true, $2, $3, $5, $6, $7, $8, $9) as found (position)
),
matching as materialized (
  select event.position, event.record_size as size
  from candidate
  cross join lateral (select * from comby.events where events.position = candidate.position offset 0) as event
  where ($5::text is null or event.tenant_id = $5)
    and ($10::text[] is null or event.domain = any ($10))
    and ($6::text[] is null or event.type = any ($6))
    and ($9::text is null or event.tenant_id = $7 and event.domain = $8 and event.aggregate_id = $9)
  order by event.position desc
  limit $4
),
measured as (
  select position, sum(size) over (order by position desc) - size as before from matching
)
select
  (select coalesce(max(position), 0) from comby.events) as head,
  (select count(*) from candidate) as examined,
  (select min(position) from candidate) as last_examined,
  (select count(*) from matching) as matching,
  event.position, event.recorded_at, event.tenant_id, event.domain, event.aggregate_id, event.version, event.type,
  substr(event.element, event.record_start + 1, event.record_size) as record
from (select) as always
left join measured on measured.before < $11
left join lateral (select * from comby.events where events.position = measured.position offset 0) as event on true
order by event.position desc
