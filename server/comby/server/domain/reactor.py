"""Reactors: effects of events, and the commands that follow from them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

from google.protobuf.message import Message

from comby.server.domain.recorded import Recorded

EventT = TypeVar("EventT", bound=Message)
SelfT = TypeVar("SelfT")

REACTS = "__comby_reacts__"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a dispatched command ended. `reason` is empty unless it was refused."""

    request_id: str
    aggregate_id: str
    executed: bool
    reason: str = ""
    reason_domain: str = ""


class CommandUnfinished(Exception):
    """A command that a reactor dispatched is parked or cancelled; the event is handled again."""


class ReplayRefused(Exception):
    """A reactor dispatched a command for an event that is older than itself, and does not opt in."""


class ReactionContext(Protocol):
    """What a reactor may use."""

    @property
    def attempt(self) -> int:
        """Count the tries of this event, from 1."""
        ...

    @property
    def replay(self) -> bool:
        """Tell whether the event was recorded before the reactor was first registered."""
        ...

    async def dispatch(self, command: Message, *, key: str = "") -> Outcome:
        """Dispatch a command in the event's tenant and wait until it is executed or refused.

        The request id is made from the event, the reactor's name, the command's type, its target and `key`; so a
        reaction that runs again dispatches the same command, which takes effect once. Give a `key` to send
        two commands of one type to one aggregate. Raises CommandUnfinished when the command is parked or cancelled, and
        ReplayRefused when `replay` is set and the reactor does not opt in.
        """
        ...


def reacts(
    event: type[EventT],
) -> Callable[
    [Callable[[SelfT, Recorded[EventT], ReactionContext], Awaitable[None]]],
    Callable[[SelfT, Recorded[EventT], ReactionContext], Awaitable[None]],
]:
    """Mark the method that reacts to an event."""

    def mark(method: Any) -> Any:
        setattr(method, REACTS, event)
        return method

    return mark


class Reactor:
    """Effects of events, in methods marked with `@reacts`; each event is handled at least once, in order per aggregate.

    `name` is its name in checkpoints. It starts at the head of the log unless `from_start`; only with
    `dispatch_on_replay`
    may it dispatch commands for events that are older than itself. A method that raises is tried again with back-off;
    after `max_attempts` the event's aggregate is parked: its later events wait for an operator, others go on.
    """

    name: ClassVar[str]
    from_start: ClassVar[bool] = False
    dispatch_on_replay: ClassVar[bool] = False
    max_attempts: ClassVar[int] = 5
    handlers: ClassVar[dict[type[Message], Any]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own = {getattr(method, REACTS): method for method in vars(cls).values() if hasattr(method, REACTS)}
        cls.handlers = cls.handlers | own
