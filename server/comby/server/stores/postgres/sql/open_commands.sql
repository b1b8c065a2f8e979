select
  tenant_id, request_id, domain, aggregate_id, accept_seq, partition, type, expected_version, not_before, status, attempts,
  accepted_at, finished_at, version, position, fingerprint, context, outcome, command
from comby.commands
where status = 'accepted' and accept_seq > $1 and (not_before is null or not_before <= $2)
order by accept_seq
limit $3
