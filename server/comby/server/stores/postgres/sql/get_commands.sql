select
  entry.tenant_id, entry.request_id, entry.domain, entry.aggregate_id, entry.accept_seq, entry.partition, entry.type,
  entry.expected_version, entry.not_before, entry.status, entry.attempts, entry.accepted_at, entry.finished_at,
  entry.version, entry.position, entry.fingerprint, entry.context, entry.outcome, entry.command
from (select distinct * from unnest($1::text[], $2::text[]) as given (tenant_id, request_id)) as wanted
join comby.commands as entry using (tenant_id, request_id)
