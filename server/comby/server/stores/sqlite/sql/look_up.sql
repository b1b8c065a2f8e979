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
        wanted.value ->> 0, wanted.value ->> 1, wanted.value ->> 2,
        (
          select coalesce(max(version), 0) from events
          where tenant_id = wanted.value ->> 0 and domain = wanted.value ->> 1 and aggregate_id = wanted.value ->> 2
        ),
        exists (
          select * from closed_aggregates
          where tenant_id = wanted.value ->> 0 and domain = wanted.value ->> 1 and aggregate_id = wanted.value ->> 2
        )
      )
    )
    from json_each(:aggregates) as wanted
  )
