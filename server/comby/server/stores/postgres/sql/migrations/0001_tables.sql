-- Everything is text by code point (collate "C"), so that order is the same in every adapter; U+0000 is escaped, see text.py.
-- Times are microseconds since 1970 in UTC. Every table whose rows belong to a tenant names it first, for row-level security.
create table comby.log (
  singleton         boolean not null default true primary key check (singleton),
  log_id            text    collate "C" not null,
  incarnation       text    collate "C" not null,
  -- Where this incarnation lives: a restore or a promotion changes one of them. Null: not known.
  system_identifier bigint,
  database_oid      bigint,
  timeline          bigint
);

-- An element is the event as a stream carries it; the record is the part of it that the caller wrote.
create table comby.events (
  position     bigint   not null,
  tenant_id    text     collate "C" not null,
  domain       text     collate "C" not null,
  aggregate_id text     collate "C" not null,
  version      bigint   not null,
  type         text     collate "C" not null,
  recorded_at  bigint   not null,
  request_id   text     collate "C" not null,
  record_start smallint not null,
  record_size  integer  not null,
  element      bytea    not null,
  constraint events_position primary key (position)
);
-- Here and below the id comes first: it tells nearly all keys apart, and comparing keys is what an index costs most.
create unique index events_aggregate on comby.events (aggregate_id, tenant_id, domain, version) include (position);
create index events_tenant on comby.events (tenant_id, position);
create index events_type on comby.events (type, position);

-- The guard of versions: what a commit compares and moves. Room on the page, so that a new version needs no new index entry.
create table comby.aggregates (
  tenant_id    text    collate "C" not null,
  domain       text    collate "C" not null,
  aggregate_id text    collate "C" not null,
  version      bigint  not null,
  closed       boolean not null,
  primary key (aggregate_id, tenant_id, domain)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);

create sequence comby.accept_seq as bigint;

create table comby.commands (
  tenant_id        text    collate "C" not null,
  request_id       text    collate "C" not null,
  accept_seq       bigint  not null,
  domain           text    collate "C" not null,
  aggregate_id     text    collate "C" not null,
  partition        integer not null,
  fingerprint      bytea   not null,
  type             text    collate "C" not null,
  expected_version bigint,
  not_before       bigint,
  status           text    collate "C" not null,
  attempts         integer not null,
  accepted_at      bigint  not null,
  finished_at      bigint,
  version          bigint  not null,
  position         bigint  not null,
  context          bytea   not null,
  outcome          bytea   not null,
  command          bytea,
  primary key (request_id, tenant_id)
);
-- Most commands end as executed in the commit that stores them: they cost this table three index entries.
-- An expression, so that nothing but lists can take this index: a plan for looking up a key, made while the table is empty, otherwise did.
create index commands_sequence on comby.commands ((tenant_id || ''), accept_seq);
create index commands_status on comby.commands (tenant_id, status, accept_seq) where status <> 'executed';
create index commands_open on comby.commands (accept_seq) where status = 'accepted';
-- Conditions that look different, so that each of these serves what is meant to use it and nothing else.
create index commands_claim on comby.commands (partition, accept_seq) where '' || status = 'accepted';
create index commands_waiting on comby.commands (aggregate_id, tenant_id, domain, accept_seq) where status || '' = 'accepted';
create index commands_due on comby.commands (not_before) where status = 'accepted' and not_before is not null;
create index commands_payload on comby.commands (finished_at)
  where command is not null and status in ('executed', 'rejected', 'cancelled');

create table comby.snapshots (
  tenant_id    text   collate "C" not null,
  domain       text   collate "C" not null,
  aggregate_id text   collate "C" not null,
  version      bigint not null,
  stamp        text   collate "C" not null,
  state        bytea  not null,
  primary key (aggregate_id, tenant_id, domain, version)
);

create table comby.consumers (
  name       text    collate "C" not null,
  generation bigint  not null,
  version    bigint  not null,
  live       boolean not null,
  position   bigint  not null,
  since      bigint  not null,
  primary key (name, generation)
) with (fillfactor = 50);

create table comby.waiting_keys (
  reactor         text   collate "C" not null,
  tenant_id       text   collate "C" not null,
  domain          text   collate "C" not null,
  aggregate_id    text   collate "C" not null,
  position        bigint not null,
  attempts        bigint not null,
  since           bigint not null,
  next_attempt_at bigint,
  incident        text   collate "C" not null,
  primary key (reactor, tenant_id, domain, aggregate_id)
);

create table comby.waiting_events (
  reactor      text   collate "C" not null,
  tenant_id    text   collate "C" not null,
  domain       text   collate "C" not null,
  aggregate_id text   collate "C" not null,
  position     bigint not null,
  primary key (reactor, tenant_id, domain, aggregate_id, position)
);

-- `entries` are the indexed fields, put together in one text (row_entries.py); they repeat what row_entries has of the row, so that its old
-- ones are found without an index of their own.
create table comby.rows (
  model     text   collate "C" not null,
  tenant_id text   collate "C" not null,
  key       text   collate "C" not null,
  version   bigint not null,
  stamp     text   collate "C" not null,
  entries   text   collate "C" not null,
  row       bytea  not null,
  primary key (model, tenant_id, key)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);

create table comby.row_entries (
  model     text collate "C" not null,
  tenant_id text collate "C" not null,
  entry     text collate "C" not null,
  key       text collate "C" not null,
  primary key (model, tenant_id, entry, key)
) with (autovacuum_vacuum_scale_factor = 0.05);

-- Which stamps a model's rows may have; an index on the rows themselves would cost each command an entry.
create table comby.stamps (
  model text collate "C" not null,
  stamp text collate "C" not null,
  primary key (model, stamp)
);

-- The verdicts of each writer's last batches, written with them: a writer that lost its connection asks again, and is told what was decided.
create table comby.batches (
  writer           text       collate "C" not null,
  number           bigint     not null,
  head             bigint     not null,
  recorded_at      bigint     not null,
  verdicts         smallint[] not null,
  numbers          bigint[]   not null,
  conflict_checks  integer[],
  conflict_actuals bigint[],
  shown_commands   integer[],
  shown_sequences  bigint[],
  shown_statuses   smallint[],
  shown_attempts   integer[],
  shown_finished   bigint[],
  shown_versions   bigint[],
  shown_positions  bigint[],
  shown_outcomes   bytea[],
  primary key (writer, number)
);
