-- Those of the positions whose events match, as one row: how many match, how many of them are here, the last of these, and their
-- elements end to end.
with matching as (
  select event.position, event.record_size as size
  from json_each(:positions) as candidate
  cross join events as event on event.position = candidate.value
  where (:tenant_id is null or event.tenant_id = :tenant_id)
    and (:domains is null or event.domain in (select value from json_each(:domains)))
    and (:types is null or event.type in (select value from json_each(:types)))
    and (
      :aggregate_id is null
      or event.tenant_id = :aggregate_tenant_id and event.domain = :aggregate_domain
        and event.aggregate_id = :aggregate_id
    )
  order by event.position
  limit :limit
),
measured as (
  select position, sum(size) over (order by position) - size as before from matching
)
select
  (select count(*) from matching), count(*), max(measured.position),
  cast(group_concat(event.element, '' order by measured.position) as blob)
from measured cross join events as event on event.position = measured.position
where measured.before < :max_bytes
