update commands set attempts = :attempts
where accept_seq = :accept_seq and status = 'accepted' and attempts = :attempts - 1
