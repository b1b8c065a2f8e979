-- The first of each index range are merged, so the others are never read.
select json_group_array(position)
from (
  select merged.value as position
  from json_each(:types) as wanted
  cross join json_each((
    select json_group_array(position)
    from (
      select position from events
      where type = wanted.value and position > :bound and position <= :head
      order by position
      limit :limit
    )
  )) as merged
  order by merged.value
  limit :limit
)
