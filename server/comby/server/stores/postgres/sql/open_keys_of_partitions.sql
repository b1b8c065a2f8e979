-- The first of each partition are merged, so the others are never read.
select entry.tenant_id, entry.request_id
from unnest($3::integer[]) as wanted (partition)
cross join lateral (
  select tenant_id, request_id, accept_seq from comby.commands
  where '' || status = 'accepted' and commands.partition = wanted.partition and (not_before is null or not_before <= $1)
  order by accept_seq
  limit $2
) as entry
order by entry.accept_seq
limit $2
