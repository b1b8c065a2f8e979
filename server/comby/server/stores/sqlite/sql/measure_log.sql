-- The events that a page without a filter would have: how many, the last, and the size of their records.
select count(*), coalesce(max(position), 0), coalesce(sum(record_size), 0)
from (select position, record_size from events where position > :bound and position <= :head order by position limit :limit)
