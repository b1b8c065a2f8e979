with others as (
  delete from comby.snapshots
  where tenant_id = $1 and domain = $2 and aggregate_id = $3 and stamp <> $5 and version <> $4
)
insert into comby.snapshots (tenant_id, domain, aggregate_id, version, stamp, state)
values ($1, $2, $3, $4, $5, $6)
on conflict (tenant_id, domain, aggregate_id, version) do update set stamp = excluded.stamp, state = excluded.state
