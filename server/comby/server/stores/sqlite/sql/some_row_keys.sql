select json_group_array(json_array(tenant_id, key))
from (select tenant_id, key from rows where model = :model limit :limit)
