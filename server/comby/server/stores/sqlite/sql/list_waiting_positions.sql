select position from waiting_events
where reactor = :reactor and tenant_id = :tenant_id and domain = :domain and aggregate_id = :aggregate_id
order by position
limit :limit
