-- Several instances may do this at once: each takes others.
with forgotten as (
  update comby.commands set command = null
  where (tenant_id, request_id) in (
    select tenant_id, request_id from comby.commands
    where command is not null and status in ('executed', 'rejected', 'cancelled') and finished_at < $1
    order by finished_at
    limit $2
    for update skip locked
  )
  returning 1
)
select count(*) from forgotten
