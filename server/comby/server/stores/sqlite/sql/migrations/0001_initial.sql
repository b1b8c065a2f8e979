create table schema_version (
  version    integer not null,
  applied_at integer not null
) strict;

create table log (
  only        integer primary key check (only = 1),
  log_id      text    not null,
  incarnation text    not null,
  clean       integer not null,
  batch       integer not null
) strict;

-- An element is the event as a stream carries it; the record is the part of it that the caller wrote.
create table events (
  position     integer primary key,
  tenant_id    text    not null,
  domain       text    not null,
  aggregate_id text    not null,
  version      integer not null,
  type         text    not null,
  recorded_at  integer not null,
  request_id   text    not null,
  record_start integer not null,
  record_size  integer not null,
  element      blob    not null
) strict;
-- Every index below ends with the position, which is the row's identity.
create unique index events_aggregate on events (tenant_id, domain, aggregate_id, version);
create index events_tenant on events (tenant_id);
create index events_type on events (type);

-- An aggregate's version is that of its last event; only the closed ones need a row.
create table closed_aggregates (
  tenant_id    text not null,
  domain       text not null,
  aggregate_id text not null,
  primary key (tenant_id, domain, aggregate_id)
) strict, without rowid;

create table commands (
  accept_seq       integer primary key,
  tenant_id        text    not null,
  request_id       text    not null,
  domain           text    not null,
  aggregate_id     text    not null,
  partition        integer not null,
  fingerprint      blob    not null,
  type             text    not null,
  expected_version integer,
  not_before       integer,
  status           text    not null,
  attempts         integer not null,
  accepted_at      integer not null,
  finished_at      integer,
  version          integer not null,
  position         integer not null,
  context          blob    not null,
  outcome          blob    not null,
  command          blob
) strict;
create unique index commands_key on commands (tenant_id, request_id);
create index commands_status on commands (tenant_id, status);
create index commands_open on commands (accept_seq, not_before, tenant_id) where status = 'accepted';
create index commands_due on commands (not_before) where status = 'accepted' and not_before is not null;
create index commands_payload on commands (finished_at)
  where command is not null and status in ('executed', 'rejected', 'cancelled');

create table snapshots (
  tenant_id    text    not null,
  domain       text    not null,
  aggregate_id text    not null,
  version      integer not null,
  stamp        text    not null,
  state        blob    not null,
  primary key (tenant_id, domain, aggregate_id, version)
) strict;

create table consumers (
  name       text    not null,
  generation integer not null,
  version    integer not null,
  live       integer not null,
  position   integer not null,
  since      integer not null,
  primary key (name, generation)
) strict, without rowid;

create table waiting_keys (
  reactor         text    not null,
  tenant_id       text    not null,
  domain          text    not null,
  aggregate_id    text    not null,
  position        integer not null,
  attempts        integer not null,
  since           integer not null,
  next_attempt_at integer,
  incident        text    not null,
  primary key (reactor, tenant_id, domain, aggregate_id)
) strict, without rowid;

create table waiting_events (
  reactor      text    not null,
  tenant_id    text    not null,
  domain       text    not null,
  aggregate_id text    not null,
  position     integer not null,
  primary key (reactor, tenant_id, domain, aggregate_id, position)
) strict, without rowid;

-- `fields` repeats what row_fields has of the row, so that its old entries are found without an index of their own.
create table rows (
  model     text    not null,
  tenant_id text    not null,
  key       text    not null,
  version   integer not null,
  stamp     text    not null,
  fields    text    not null,
  row       blob    not null,
  primary key (model, tenant_id, key)
) strict, without rowid;

-- Which stamps a model's rows may have; an index on the rows themselves would cost each command a page.
create table stamps (
  model text not null,
  stamp text not null,
  primary key (model, stamp)
) strict, without rowid;

create table row_fields (
  model     text not null,
  tenant_id text not null,
  field     text not null,
  value     text not null,
  key       text not null,
  primary key (model, tenant_id, field, value, key)
) strict, without rowid;
