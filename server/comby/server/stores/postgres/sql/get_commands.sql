select
  entry.tenant_id, entry.request_id, entry.domain, entry.aggregate_id, entry.accept_seq, entry.partition, entry.type,
  entry.expected_version, entry.not_before, entry.status, entry.attempts, entry.accepted_at, entry.finished_at,
  entry.version, entry.position, entry.fingerprint, entry.context, entry.outcome, entry.command
from (select distinct * from unnest($1::text[], $2::text[]) as given (tenant_id, request_id)) as wanted
cross join lateral (
  select * from comby.commands
  where commands.tenant_id = wanted.tenant_id and commands.request_id = wanted.request_id
  offset 0
) as entry
