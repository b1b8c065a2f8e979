select version, closed from comby.aggregates where tenant_id = $1 and domain = $2 and aggregate_id = $3
