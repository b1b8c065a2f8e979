-- Only one instance at a time looks whether something is to be migrated, however long that takes. The number is "combymg".
set local statement_timeout = 0;
set local lock_timeout = 0;
set local idle_in_transaction_session_timeout = 0;
select pg_advisory_xact_lock(27988538288598375);
