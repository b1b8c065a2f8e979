"""Queries: questions answered in the caller's request, and live ones that go on answering."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar, overload

from google.protobuf.message import Message

from comby.server.domain.aggregate import Aggregate
from comby.server.domain.context import RequestContext
from comby.server.domain.identity import Version
from comby.server.domain.projection import Page, Projection

StateT = TypeVar("StateT", bound=Message)
MessageT = TypeVar("MessageT", bound=Message)
HandledT = TypeVar("HandledT", bound=Message)
AnswerT = TypeVar("AnswerT", bound=Message)
SelfT = TypeVar("SelfT")

ANSWERS = "__comby_answers__"


@dataclass(frozen=True, slots=True)
class Versioned(Generic[StateT]):
    """An aggregate's state and its version; the state is the receiver's own copy."""

    aggregate_id: str
    version: Version
    state: StateT


class QueryContext(Protocol):
    """What a query handler may read; everything is inside the caller's tenant."""

    @property
    def request(self) -> RequestContext:
        """Who asked."""
        ...

    async def state(self, aggregate: type[Aggregate[StateT]], aggregate_id: str) -> Versioned[StateT]:
        """Return an aggregate's state; its internal fields are cleared when it is sent.

        Raises AggregateNotFound, which the caller gets as NOT_FOUND.
        """
        ...

    async def states(
        self,
        aggregate: type[Aggregate[StateT]],
        *,
        filter: Mapping[str, str | int | bool] | None = None,
        order_by: str | None = None,
        descending: bool = False,
        page_size: int = 0,
        page_token: str = "",
    ) -> Page[StateT]:
        """Return a page of aggregates by their indexed fields."""
        ...

    def watch(self, aggregate: type[Aggregate[StateT]], aggregate_id: str) -> AsyncIterator[Versioned[StateT]]:
        """Yield the state now and after every later event, without a gap; ends when the caller does, or when it is
        closed.

        Raises AggregateNotFound when the aggregate does not exist.
        """
        ...

    def rows(self, projection: type[Projection[StateT]]) -> "RowReader[StateT]":
        """Return the rows of a projection; the query must declare it in `reads`."""
        ...

    def changes(self) -> AsyncIterator[None]:
        """Yield once at once, and again whenever one of the read models in `reads` has moved on."""
        ...


class RowReader(Protocol[StateT]):
    """Reads the rows of one projection in the caller's tenant."""

    async def get(self, key: str) -> StateT | None:
        """Return the row, or None."""
        ...

    async def list(
        self,
        *,
        filter: Mapping[str, str | int | bool] | None = None,
        order_by: str | None = None,
        descending: bool = False,
        page_size: int = 0,
        page_token: str = "",
    ) -> Page[StateT]:
        """Return a page of rows whose indexed fields equal the filter's values, ordered by an indexed field or by
        key."""
        ...


class _Answers(Protocol[HandledT]):
    @overload
    def __call__(
        self, method: Callable[[SelfT, HandledT, QueryContext], Awaitable[AnswerT]], /
    ) -> Callable[[SelfT, HandledT, QueryContext], Awaitable[AnswerT]]: ...
    @overload
    def __call__(
        self, method: Callable[[SelfT, HandledT, QueryContext], AsyncIterator[AnswerT]], /
    ) -> Callable[[SelfT, HandledT, QueryContext], AsyncIterator[AnswerT]]: ...


def answers(query: type[MessageT]) -> _Answers[MessageT]:
    """Mark the method that answers a query; one that streams is an async generator."""

    def mark(method: Any) -> Any:
        setattr(method, ANSWERS, query)
        return method

    return mark


class QueryHandlers:
    """Handlers of queries, marked with `@answers`. `reads` are the projections whose rows they use."""

    reads: ClassVar[tuple[type[Projection[Any]], ...]] = ()
    handlers: ClassVar[dict[type[Message], Any]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own = {getattr(method, ANSWERS): method for method in vars(cls).values() if hasattr(method, ANSWERS)}
        cls.handlers = cls.handlers | own


@dataclass(frozen=True, slots=True)
class StateQueries:
    """Answers queries straight from the read model that every aggregate has, without any code.

    `get` answers the state of the aggregate named by its one string field (or the one marked as aggregate id);
    `watch` streams it. `list` answers a
    message with one repeated field of states and a `next_page_token`; its fields that are indexed filter, and it may
    have `page_size`, `page_token`, `order_by` and `descending`.
    """

    aggregate: type[Aggregate[Any]]
    get: type[Message] | None = None
    list: type[Message] | None = None
    watch: type[Message] | None = None
