select coalesce(max(version), 0) from comby.schema_version
