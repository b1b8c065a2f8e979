insert or ignore into closed_aggregates (tenant_id, domain, aggregate_id)
values (:tenant_id, :domain, :aggregate_id)
