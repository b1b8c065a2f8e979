update commands set command = null
where accept_seq in (
  select accept_seq from commands indexed by commands_payload
  where command is not null and status <> 'accepted' and status <> 'parked' and finished_at < :finished_before
  order by finished_at
  limit :limit
)
