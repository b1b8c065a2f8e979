"""Makes connections, and does not try again and again where the database was away a moment ago."""

import time

from comby.server.ports.errors import StoreUnavailable
from comby.server.stores.postgres.connection import Connection, connect
from comby.server.stores.postgres.failures import DRIVER_ERRORS, unavailable

PAUSE_SECONDS = 0.25
"""After a failure whoever else asks is refused at once: a host that answers nothing costs one caller its time, not all of them."""


class Connector:
    """Knows the URL, which never leaves this object."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._failed_at = float("-inf")

    async def connect(self) -> Connection:
        """Connect. Raises StoreUnavailable."""
        if time.monotonic() - self._failed_at < PAUSE_SECONDS:
            raise StoreUnavailable("the database can not be reached")
        try:
            return await connect(self._url)
        except DRIVER_ERRORS as error:
            self._failed_at = time.monotonic()
            raise unavailable(error) from None
