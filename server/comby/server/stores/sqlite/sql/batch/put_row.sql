insert into rows (model, tenant_id, key, version, stamp, fields, row)
values (:model, :tenant_id, :key, :version, :stamp, :fields, :row)
on conflict do update
set version = excluded.version, stamp = excluded.stamp, fields = excluded.fields, row = excluded.row
