-- The instances that serve the log, and what each owns. Heartbeats are on this database's clock.
create table comby.instances (
  instance_id  text    collate "C" not null primary key,
  address      text    collate "C" not null,
  eligible     boolean not null,
  version      text    collate "C" not null,
  started_at   bigint  not null,
  heartbeat_at bigint  not null
) with (fillfactor = 50);

create table comby.partitions (
  partition integer not null primary key,
  owner     text    collate "C",
  epoch     bigint  not null
) with (fillfactor = 50);

create table comby.duties (
  duty  text   collate "C" not null primary key,
  owner text   collate "C",
  epoch bigint not null
) with (fillfactor = 50);
