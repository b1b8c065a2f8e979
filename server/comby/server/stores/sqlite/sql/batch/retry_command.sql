update commands
set accept_seq = :tail, status = 'accepted', attempts = 0, finished_at = null, version = 0, position = 0, outcome = x''
where accept_seq = :accept_seq and status = 'parked'
