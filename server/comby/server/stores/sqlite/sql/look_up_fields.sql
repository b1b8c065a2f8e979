select model, tenant_id, key, fields from rows where model = :model and tenant_id = :tenant_id and key = :key
