select position from comby.waiting_events
where reactor = $1 and tenant_id = $2 and domain = $3 and aggregate_id = $4
order by position
limit $5
