select
  to_regclass('comby.schema_version') is not null as versioned,
  exists (
    select from pg_catalog.pg_class as relation
    join pg_catalog.pg_namespace as schema on schema.oid = relation.relnamespace
    where schema.nspname = 'comby'
  ) as filled
