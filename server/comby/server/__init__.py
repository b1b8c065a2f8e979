"""The server side of comby: what a domain developer imports, and the facade that serves it."""

from comby.server.application.facade import Facade
from comby.server.application.refusals import RegistrationRefused
from comby.server.domain.aggregate import Aggregate, applies, handles
from comby.server.domain.command import CommandContext, CommandHandlers
from comby.server.domain.context import Execution, RequestContext
from comby.server.domain.middleware import CommandMiddleware, EventMiddleware, QueryMiddleware
from comby.server.domain.projection import Page, Projection, Rows, projects
from comby.server.domain.query import QueryContext, QueryHandlers, RowReader, StateQueries, Versioned, answers
from comby.server.domain.reactor import Outcome, ReactionContext, Reactor, reacts
from comby.server.domain.recorded import Recorded
from comby.server.domain.rejections import Rejected
from comby.server.domain.upcasting import upcasts

__all__ = [
    "Aggregate",
    "CommandContext",
    "CommandHandlers",
    "CommandMiddleware",
    "EventMiddleware",
    "Execution",
    "Facade",
    "Outcome",
    "Page",
    "Projection",
    "QueryContext",
    "QueryHandlers",
    "QueryMiddleware",
    "ReactionContext",
    "Reactor",
    "Recorded",
    "RegistrationRefused",
    "Rejected",
    "RequestContext",
    "RowReader",
    "Rows",
    "StateQueries",
    "Versioned",
    "answers",
    "applies",
    "handles",
    "projects",
    "reacts",
    "upcasts",
]
