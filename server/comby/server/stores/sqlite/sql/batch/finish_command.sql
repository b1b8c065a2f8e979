update commands
set status = :status, finished_at = :finished_at, version = :version, position = :position, outcome = :outcome
where accept_seq = :accept_seq and status = 'accepted'
