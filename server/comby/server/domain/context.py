"""Who asked, in which tenant, and why; and what a handler may use in place of clocks and random numbers."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID, uuid5

from comby.server.domain.identity import DEFAULT_TENANT, at_time_of


class RequestContext(NamedTuple):
    """The origin of a command or query, carried into everything that it sets off. A tuple, because one is made for every command."""

    tenant_id: str = DEFAULT_TENANT
    actor_id: str = ""
    correlation_id: str = ""
    causation_id: str = ""
    traceparent: str = ""


@dataclass(slots=True)
class Execution:
    """One command's run. A handler may run several times; time and ids taken from here are the same in each run of
    one attempt.

    `now` is in UTC.
    """

    request_id: str
    context: RequestContext
    now: datetime
    _ids: int = field(default=0)

    def new_id(self) -> str:
        """Return a UUID for a new thing; the n-th of a command is always the same."""
        self._ids += 1
        return at_time_of(self.request_id, str(uuid5(UUID(self.request_id), str(self._ids))))
