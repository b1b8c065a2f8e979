select version, state from comby.snapshots
where tenant_id = $1 and domain = $2 and aggregate_id = $3 and stamp = $4 and ($5::bigint is null or version <= $5)
order by version desc
limit 1
