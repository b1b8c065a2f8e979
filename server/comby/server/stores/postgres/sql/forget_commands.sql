-- Several instances may do this at once: each takes others.
with forgotten as (
  update comby.commands set command = null
  where ctid = any (
    array(
      select ctid from comby.commands
      where command is not null and status in ('executed', 'rejected', 'cancelled') and finished_at < $1
      order by finished_at
      limit $2
      for update skip locked
    )
  )
  returning 1
)
select count(*) from forgotten
