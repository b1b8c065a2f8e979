"""A commit through the append of the PostgreSQL store whose transaction stays open for a while, as if its client were slow."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

from comby.server.domain.identity import LogIdentity
from comby.server.ports.event_store import Verdict, Write
from comby.server.stores.postgres.batch import Batch
from comby.server.stores.postgres.connection import Connection
from comby.server.stores.postgres.statements import statement
from comby.server.stores.postgres.verdicts import Answer


class Abort(Exception):
    """Raised inside `held` to give up what was appended."""


@asynccontextmanager
async def held(connection: Connection, identity: LogIdentity, writes: Sequence[Write]) -> AsyncIterator[list[Verdict]]:
    """Append in a transaction that ends with the context: by a rollback where Abort is raised inside, which ends here."""
    batch = Batch(writes)
    try:
        async with connection.transaction():
            record = await connection.fetchrow(
                statement("append"), str(uuid4()), 1, identity.incarnation, None, *batch.arguments()
            )
            assert record is not None
            yield Answer(batch, record).verdicts({})
    except Abort:
        pass
