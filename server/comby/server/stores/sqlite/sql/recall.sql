-- What the writer keeps in memory between batches.
select
  log.batch,
  coalesce((select max(position) from events), 0),
  coalesce((select recorded_at from events order by position desc limit 1), 0),
  coalesce((select max(accept_seq) from commands), 0),
  (select json_group_array(json_array(name, generation, position)) from consumers)
from log
