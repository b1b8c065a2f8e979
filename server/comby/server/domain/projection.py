"""Projections: read models kept up to date from events, after the commit."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar, get_args, get_origin

from google.protobuf.message import Message

from comby.server.domain.recorded import Recorded

ItemT = TypeVar("ItemT")
RowT = TypeVar("RowT", bound=Message)
EventT = TypeVar("EventT", bound=Message)
SelfT = TypeVar("SelfT")
ResultT = TypeVar("ResultT")

PROJECTS = "__comby_projects__"


@dataclass(frozen=True, slots=True)
class Page(Generic[ItemT]):
    """One page of rows; `next_page_token` is empty on the last one."""

    rows: Sequence[ItemT]
    next_page_token: str


class Rows(Protocol[RowT]):
    """The rows of one projection, in the tenant of the event at hand. Changes are committed together with the
    checkpoint."""

    async def get(self, key: str) -> RowT | None:
        """Return a copy of the row, with the changes made so far, or None."""
        ...

    def put(self, key: str, row: RowT) -> None:
        """Write a row."""
        ...

    def delete(self, key: str) -> None:
        """Delete a row, if it exists."""
        ...


def projects(
    event: type[EventT],
) -> Callable[
    [Callable[[SelfT, Recorded[EventT], Rows[RowT]], Awaitable[None]]],
    Callable[[SelfT, Recorded[EventT], Rows[RowT]], Awaitable[None]],
]:
    """Mark the method that applies an event to the rows."""

    def mark(method: Any) -> Any:
        setattr(method, PROJECTS, event)
        return method

    return mark


class Projection(Generic[RowT]):
    """A read model: rows of one message, kept up to date by methods marked with `@projects`.

    `name` is its name in checkpoints and for operators. Raise `version` when the rows would come out differently: it
    is then
    built anew beside the live one, and switched. `indexed` are the row's singular scalar fields to filter and order by.
    Handlers must have no effect but on the rows: they run again after a crash.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    indexed: ClassVar[tuple[str, ...]] = ()
    row_type: ClassVar[type[Message]]
    handlers: ClassVar[dict[type[Message], Any]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for base in getattr(cls, "__orig_bases__", ()):
            if get_origin(base) is Projection and isinstance(get_args(base)[0], type):
                cls.row_type = get_args(base)[0]
        own = {getattr(method, PROJECTS): method for method in vars(cls).values() if hasattr(method, PROJECTS)}
        cls.handlers = cls.handlers | own
