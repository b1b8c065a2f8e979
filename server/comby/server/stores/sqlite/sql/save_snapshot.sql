insert into snapshots (tenant_id, domain, aggregate_id, version, stamp, state)
values (:tenant_id, :domain, :aggregate_id, :version, :stamp, :state)
on conflict do update set stamp = excluded.stamp, state = excluded.state
