-- What durability and right order depend on.
select
  current_setting('server_version_num')::integer as version,
  current_setting('server_encoding') as encoding,
  current_setting('synchronous_commit') as synchronous_commit,
  current_setting('fsync') as fsync,
  current_setting('full_page_writes') as full_page_writes,
  current_setting('default_transaction_isolation') as isolation,
  pg_is_in_recovery() or current_setting('default_transaction_read_only')::boolean as read_only
