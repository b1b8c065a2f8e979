select version, closed from aggregates
where tenant_id = :tenant_id and domain = :domain and aggregate_id = :aggregate_id
