-- Looked through from the last accepted: an index would cost every command an entry, and this is asked by people.
select
  tenant_id, request_id, domain, aggregate_id, accept_seq, partition, type, expected_version, not_before, status, attempts,
  accepted_at, finished_at, version, position, fingerprint, context, outcome, command
from comby.commands
where tenant_id || '' = $1 and aggregate_id = $6 and accept_seq < $4 and status = any ($2::text[]) and ($3 = '' or type = $3)
order by accept_seq desc
limit $5
