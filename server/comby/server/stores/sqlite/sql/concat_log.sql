-- The elements of a range, end to end.
select cast(group_concat(element, '') as blob)
from (select element from events where position > :bound and position <= :last order by position)
