-- The last of each status are merged, so the others are never read. Those that were executed have no index of their own: most were.
select
  entry.tenant_id, entry.request_id, entry.domain, entry.aggregate_id, entry.accept_seq, entry.partition, entry.type,
  entry.expected_version, entry.not_before, entry.status, entry.attempts, entry.accepted_at, entry.finished_at,
  entry.version, entry.position, entry.fingerprint, entry.context, entry.outcome, entry.command
from unnest($2::text[]) as wanted (status)
cross join lateral (
  (
    select * from comby.commands
    where wanted.status = 'executed' and tenant_id || '' = $1 and status = 'executed' and accept_seq < $4 and ($3 = '' or type = $3)
    order by accept_seq desc
    limit $5
  )
  union all
  (
    select * from comby.commands
    where wanted.status <> 'executed' and tenant_id = $1 and status <> 'executed' and status = wanted.status
      and accept_seq < $4 and ($3 = '' or type = $3)
    order by accept_seq desc
    limit $5
  )
) as entry
order by entry.accept_seq desc
limit $5
