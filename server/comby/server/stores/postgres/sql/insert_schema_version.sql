insert into comby.schema_version (version) values ($1)
