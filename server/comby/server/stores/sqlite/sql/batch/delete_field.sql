delete from row_fields
where model = :model and tenant_id = :tenant_id and field = :field and value = :value and key = :key
