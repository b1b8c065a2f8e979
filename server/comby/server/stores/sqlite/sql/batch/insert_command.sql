-- The payload is the fingerprint, the context, the outcome and the command, one after the other; a part of an empty blob is null.
create temp trigger insert_command instead of insert on batch when new.kind = 'insert_command'
begin
  insert into commands (
    accept_seq, tenant_id, request_id, domain, aggregate_id, partition, type, expected_version, not_before,
    status, attempts, accepted_at, finished_at, version, position, fingerprint, context, outcome, command
  )
  values (
    new.item ->> 'accept_seq', new.item ->> 'tenant_id', new.item ->> 'request_id', new.item ->> 'domain',
    new.item ->> 'aggregate_id', new.item ->> 'partition', new.item ->> 'type', new.item ->> 'expected_version',
    new.item ->> 'not_before', new.item ->> 'status', new.item ->> 'attempts', new.item ->> 'accepted_at',
    new.item ->> 'finished_at', new.item ->> 'version', new.item ->> 'position',
    coalesce(substr(new.payload, 1, new.item ->> 'fingerprint'), x''),
    coalesce(substr(new.payload, 1 + (new.item ->> 'fingerprint'), new.item ->> 'context'), x''),
    coalesce(
      substr(new.payload, 1 + (new.item ->> 'fingerprint') + (new.item ->> 'context'), new.item ->> 'outcome'), x''
    ),
    coalesce(
      substr(new.payload, 1 + (new.item ->> 'fingerprint') + (new.item ->> 'context') + (new.item ->> 'outcome')), x''
    )
  );
end
