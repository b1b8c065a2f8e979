select log_id, incarnation, clean from log
