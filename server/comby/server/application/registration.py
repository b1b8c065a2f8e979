"""Registration: what an app does with a facade before it is started."""

from comby.server.application.registry import Registrable, Registry
from comby.server.application.runtime import Middleware
from comby.server.domain.middleware import CommandMiddleware, EventMiddleware, QueryMiddleware


class Registration:
    """Takes what an app consists of."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.middleware = Middleware()

    def register(self, *registrables: Registrable) -> None:
        """Add aggregates, handlers, projections, reactors and upcasters; classes of handlers are made without
        arguments."""
        for registrable in registrables:
            self.registry.add(registrable)

    def use(self, *middleware: CommandMiddleware | QueryMiddleware | EventMiddleware) -> None:
        """Add middleware; an object may stand around commands, queries and events at once."""
        for one in middleware:
            if isinstance(one, CommandMiddleware):
                self.middleware.commands.append(one)
            if isinstance(one, QueryMiddleware):
                self.middleware.queries.append(one)
            if isinstance(one, EventMiddleware):
                self.middleware.events.append(one)
