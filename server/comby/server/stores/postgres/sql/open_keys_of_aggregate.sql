select tenant_id, request_id
from comby.commands
where status || '' = 'accepted' and aggregate_id = $5 and tenant_id = $3 and domain = $4
  and (not_before is null or not_before <= $1)
order by accept_seq
limit $2
