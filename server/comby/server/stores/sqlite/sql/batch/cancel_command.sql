update commands set status = 'cancelled', finished_at = :finished_at, outcome = :outcome
where accept_seq = :accept_seq and (status = 'parked' or status = 'accepted' and attempts = 0)
