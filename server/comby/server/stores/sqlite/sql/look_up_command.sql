select tenant_id, request_id, accept_seq, status, attempts from commands
where tenant_id = :tenant_id and request_id = :request_id
