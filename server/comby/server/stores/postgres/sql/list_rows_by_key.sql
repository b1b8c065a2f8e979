select stored.key, stored.row, stored.stamp, stored.version, '' as entry
from comby.rows as stored
where stored.model = $1 and stored.tenant_id = $2 and ($3::text is null or stored.key > $3)
order by stored.key
limit $4
