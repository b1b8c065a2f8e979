-- A command as one JSON array, ending with the lengths of its payloads, and those end to end: a page is one row then,
-- which costs the reader's thread one wait for the interpreter, not one for each command.
create temp view packed_commands as
select
  accept_seq, tenant_id, request_id, aggregate_id, type, status, not_before,
  json_array(
    tenant_id, request_id, domain, aggregate_id, accept_seq, partition, type, expected_version, not_before, status,
    attempts, accepted_at, finished_at, version, position,
    octet_length(fingerprint), octet_length(context), octet_length(outcome), octet_length(command)
  ) as item,
  fingerprint || context || outcome || coalesce(command, x'') as payload
from commands
