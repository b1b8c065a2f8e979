"""Which log a database holds, and which life of it."""

import logging

from comby.server.domain.identity import LogIdentity
from comby.server.stores.postgres.connection import Connection
from comby.server.stores.postgres.statements import statement

log = logging.getLogger("comby.store")


async def recognise(connection: Connection) -> LogIdentity:
    """Return the log's identity; one that was restored or promoted since it was last looked at gets a new incarnation here."""
    row = await connection.fetchrow(statement("recognise"))
    assert row is not None
    if row["renewed"]:
        log.warning("the log was restored or promoted: its incarnation is a new one")
    if not row["known"]:
        log.warning("a restore can not be recognised: the user may not call pg_control_system or pg_walfile_name")
    return LogIdentity(row["log_id"], row["incarnation"])
