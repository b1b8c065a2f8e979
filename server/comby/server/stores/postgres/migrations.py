"""Numbered migrations: bring a database to this version of the schema, and refuse one that is newer or not ours."""

from comby.server.ports.errors import StoreIncompatible
from comby.server.stores.postgres.connection import Connection
from comby.server.stores.postgres.statements import migrations, statement


async def migrate(connection: Connection) -> None:
    """Apply the migrations that are missing, all in one transaction; of many instances the first one does it, and the others wait.

    Raises StoreIncompatible for the schema of a newer comby, or of something else.
    """
    steps = migrations()
    newest = steps[-1][0]
    async with connection.transaction():
        await connection.execute(statement("lock_migrations"))
        stored = await _stored_version(connection)
        if stored > newest:
            raise StoreIncompatible(
                f"the database has schema version {stored}, and this comby knows {newest}: a newer one wrote it"
            )
        for version, sql in steps:
            if version > stored:
                await connection.execute(sql)
                await connection.execute(statement("insert_schema_version"), version)


async def _stored_version(connection: Connection) -> int:
    """Return the version of the schema, which is created if there is none."""
    row = await connection.fetchrow(statement("describe_schema"))
    assert row is not None
    if not row["versioned"]:
        if row["filled"]:
            raise StoreIncompatible("the schema comby of the database is not a store of comby")
        await connection.execute(statement("create_schema"))
    return int(await connection.fetchval(statement("schema_version")))
