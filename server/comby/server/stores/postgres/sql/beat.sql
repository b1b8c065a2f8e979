-- Renews a heartbeat, and returns what list_members.sql returns. The statement itself still sees the heartbeat before, so the instance's
-- row is the one that was written.
with beaten as (
  update comby.instances set heartbeat_at = comby.clock() where instance_id = $1 returning *
)
select
  one.instance_id, one.name, one.address, one.eligible, one.version, one.started_at, one.heartbeat_at,
  one.heartbeat_at > comby.clock() - $2 as live,
  null::integer as partition, null::text as duty, null::text as owner, null::bigint as epoch
from (
  select * from beaten
  union all
  select * from comby.instances where instance_id <> $1
) as one
union all
select null, null, null, null, null, null, null, null, partition, null, owner, epoch from comby.partitions
union all
select null, null, null, null, null, null, null, null, null, duty, owner, epoch from comby.duties
