select entry.key, entry.row, entry.stamp, entry.version, '' as value
from comby.rows as entry
where entry.model = $1 and entry.tenant_id = $2 and ($3::text is null or entry.key > $3)
order by entry.key
limit $4
