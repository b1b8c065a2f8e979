"""A facade, as its callers see it."""

from dataclasses import replace

from comby.client._commands import CommandCalls
from comby.client._connection import Connection
from comby.client._events import EventCalls
from comby.client._operations import OperationCalls
from comby.client._queries import QueryCalls


class Comby(CommandCalls, QueryCalls, EventCalls, OperationCalls):
    """A connected facade; made by `comby.client.connect`.

    Generated clients take it: `OrderClient(comby)`. It may be used by any number of tasks at once.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def within(
        self,
        *,
        tenant_id: str | None = None,
        correlation_id: str | None = None,
        causation_id: str | None = None,
        traceparent: str | None = None,
    ) -> "Comby":
        """Return the same connection with other words on every call; what is None stays as it is."""
        given = {
            "tenant_id": tenant_id,
            "correlation_id": correlation_id,
            "causation_id": causation_id,
            "traceparent": traceparent,
        }
        changes = {key: value for key, value in given.items() if value is not None}
        return Comby(self._connection.within(replace(self._connection.ambient, **changes)))
