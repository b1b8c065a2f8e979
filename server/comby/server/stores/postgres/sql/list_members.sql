-- The instances and the holdings as of one moment, each row one or the other.
select
  one.instance_id, one.name, one.address, one.eligible, one.version, one.started_at, one.heartbeat_at,
  one.heartbeat_at > comby.clock() - $1 as live,
  null::integer as partition, null::text as duty, null::text as owner, null::bigint as epoch
from comby.instances as one
union all
select null, null, null, null, null, null, null, null, partition, null, owner, epoch from comby.partitions
union all
select null, null, null, null, null, null, null, null, null, duty, owner, epoch from comby.duties
