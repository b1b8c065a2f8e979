-- Limits for whatever goes wrong; and plans that stay right while tables grow from nothing: every statement has its index.
set statement_timeout = '30s';
set lock_timeout = '10s';
set idle_in_transaction_session_timeout = '10s';
set jit = off;
set enable_seqscan = off;
set enable_bitmapscan = off;
set enable_hashjoin = off;
set enable_mergejoin = off;
set plan_cache_mode = force_generic_plan;
