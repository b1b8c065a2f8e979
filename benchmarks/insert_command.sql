-- What `benchmarks/committers.py` commits, by pgbench: one event, the guard of its aggregate, its command, and a row with two indexed fields.
with given as materialized (
  select
    nextval('bench_position') as position, uuidv7()::text as aggregate_id, uuidv7()::text as request_id,
    (extract(epoch from clock_timestamp()) * 1000000)::bigint as now, decode(repeat('a5', 300), 'hex') as record
),
event as (
  insert into comby.events (
    position, tenant_id, domain, aggregate_id, version, type, recorded_at, request_id, record_start, record_size, element
  )
  select
    position, 'default', 'Order', aggregate_id, 1, 'Order.OrderPaid', now, request_id, 4, 300,
    '\x0ab602'::bytea || record || '\x08808094ebdc03420c0895b6ccc80610809bbfa301'::bytea
  from given
),
guard as (
  insert into comby.aggregates (tenant_id, domain, aggregate_id, version, closed)
  select 'default', 'Order', aggregate_id, 1, false from given
),
command as (
  insert into comby.commands (
    tenant_id, request_id, accept_seq, domain, aggregate_id, partition, fingerprint, type, expected_version, not_before,
    status, attempts, accepted_at, finished_at, version, position, context, outcome, command
  )
  select
    'default', request_id, nextval('comby.accept_seq'), 'Order', aggregate_id, 0, substr(record, 1, 32), 'Order.PayOrder', null, null,
    'executed', 0, now, now, 1, position, substr(record, 1, 60), substr(record, 1, 120), substr(record, 1, 200)
  from given
),
entry as (
  insert into comby.row_entries (model, tenant_id, entry, key)
  select 'Order', 'default', entry, aggregate_id
  from given, (values (e'status\x01\x03paid'), (e'total\x01\x031000000000')) as indexed (entry)
)
insert into comby.rows (model, tenant_id, key, version, stamp, entries, row)
select
  'Order', 'default', aggregate_id, 1, '1', array[e'status\x01\x03paid', e'total\x01\x031000000000'], record
from given;
