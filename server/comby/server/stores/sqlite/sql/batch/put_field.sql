insert into row_fields (model, tenant_id, field, value, key) values (:model, :tenant_id, :field, :value, :key)
