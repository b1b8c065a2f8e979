select position, recorded_at, tenant_id, domain, aggregate_id, version, type, substr(element, record_start + 1, record_size)
from comby.events
where tenant_id = $1 and domain = $2 and aggregate_id = $3 and version > $4 and ($5::bigint is null or version <= $5)
order by version
limit $6
