delete from snapshots
where tenant_id = :tenant_id and domain = :domain and aggregate_id = :aggregate_id and stamp <> :stamp
