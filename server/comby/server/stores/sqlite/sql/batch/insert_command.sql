insert into commands (
  accept_seq, tenant_id, request_id, domain, aggregate_id, partition, type, expected_version, not_before,
  status, attempts, accepted_at, finished_at, version, position, fingerprint, context, outcome, command
)
values (
  :accept_seq, :tenant_id, :request_id, :domain, :aggregate_id, :partition, :type, :expected_version, :not_before,
  :status, :attempts, :accepted_at, :finished_at, :version, :position, :fingerprint, :context, :outcome, :command
)
