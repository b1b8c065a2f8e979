-- The first of each partition are merged, so the others are never read.
select
  entry.tenant_id, entry.request_id, entry.domain, entry.aggregate_id, entry.accept_seq, entry.partition, entry.type,
  entry.expected_version, entry.not_before, entry.status, entry.attempts, entry.accepted_at, entry.finished_at,
  entry.version, entry.position, entry.fingerprint, entry.context, entry.outcome, entry.command
from unnest($4::integer[]) as wanted (partition)
cross join lateral (
  select * from comby.commands
  where '' || status = 'accepted' and commands.partition = wanted.partition and accept_seq > $1
    and (not_before is null or not_before <= $2)
  order by accept_seq
  limit $3
) as entry
order by entry.accept_seq
limit $3
