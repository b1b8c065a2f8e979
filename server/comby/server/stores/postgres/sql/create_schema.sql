create schema if not exists comby;
create table comby.schema_version (
  version    integer     not null primary key,
  applied_at timestamptz not null default now()
);
