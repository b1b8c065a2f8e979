select version, state from snapshots
where tenant_id = :tenant_id and domain = :domain and aggregate_id = :aggregate_id and stamp = :stamp
  and (:up_to is null or version <= :up_to)
order by version desc
limit 1
