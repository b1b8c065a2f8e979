-- What a batch must know before it is decided, in one row.
select
  (
    select json_group_array(
      json_array(command.tenant_id, command.request_id, command.accept_seq, command.status, command.attempts)
    )
    from json_each(:commands) as wanted
    cross join commands as command
      on command.tenant_id = wanted.value ->> 0 and command.request_id = wanted.value ->> 1
  ),
  (
    select json_group_array(
      json_array(
        aggregate.tenant_id, aggregate.domain, aggregate.aggregate_id, aggregate.version, aggregate.closed
      )
    )
    from json_each(:aggregates) as wanted
    cross join aggregates as aggregate
      on aggregate.tenant_id = wanted.value ->> 0 and aggregate.domain = wanted.value ->> 1
        and aggregate.aggregate_id = wanted.value ->> 2
  )
