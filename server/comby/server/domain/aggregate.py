"""Aggregates: state folded from events, and the decisions taken on it. An aggregate lives for one command."""

from collections.abc import Awaitable, Callable
from typing import (
    Any,
    ClassVar,
    Generic,
    Protocol,
    TypeVar,
    get_args,
    get_origin,
    overload,
)

from google.protobuf.message import Message

from comby.server.domain.context import Execution
from comby.server.domain.identity import Version

StateT = TypeVar("StateT", bound=Message)
MessageT = TypeVar("MessageT", bound=Message)
HandledT = TypeVar("HandledT", bound=Message)
SelfT = TypeVar("SelfT")
ContextT = TypeVar("ContextT")

HANDLES = "__comby_handles__"
APPLIES = "__comby_applies__"


class _Handles(Protocol[HandledT]):
    @overload
    def __call__(self, method: Callable[[SelfT, HandledT], None], /) -> Callable[[SelfT, HandledT], None]: ...
    @overload
    def __call__(
        self, method: Callable[[SelfT, HandledT, ContextT], Awaitable[None]], /
    ) -> Callable[[SelfT, HandledT, ContextT], Awaitable[None]]: ...


def handles(command: type[MessageT]) -> _Handles[MessageT]:
    """Mark the method that decides on a command: of an aggregate, or, async, of `CommandHandlers`."""

    def mark(method: Any) -> Any:
        setattr(method, HANDLES, command)
        return method

    return mark


def applies(
    event: type[MessageT],
) -> Callable[[Callable[[SelfT, MessageT], None]], Callable[[SelfT, MessageT], None]]:
    """Mark the method that folds an event into the state. It must not decide, fail, or look at a clock."""

    def mark(method: Callable[[SelfT, MessageT], None]) -> Callable[[SelfT, MessageT], None]:
        setattr(method, APPLIES, event)
        return method

    return mark


class Aggregate(Generic[StateT]):
    """State folded from events, and the decisions on it.

    Subclass it with the state's message, mark methods with `@handles` and `@applies`, and record events in handlers
    only.
    Raise `snapshot_version` when an applier changes what old events fold to: stored snapshots are then ignored.
    """

    snapshot_version: ClassVar[int] = 1
    state_type: ClassVar[type[Message]]
    handlers: ClassVar[dict[type[Message], Callable[[Any, Any], None]]] = {}
    appliers: ClassVar[dict[type[Message], Callable[[Any, Any], None]]] = {}

    __slots__ = ("_execution", "id", "recorded", "state", "version")

    def __init__(self, aggregate_id: str, version: Version, state: StateT, execution: Execution) -> None:
        self.id = aggregate_id
        self.version = version
        self.state = state
        self.recorded: list[Message] = []
        self._execution = execution

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for base in getattr(cls, "__orig_bases__", ()):
            if get_origin(base) is Aggregate and isinstance(get_args(base)[0], type):
                cls.state_type = get_args(base)[0]
        cls.handlers = cls.handlers | _marked(cls, HANDLES)
        cls.appliers = cls.appliers | _marked(cls, APPLIES)

    @property
    def exists(self) -> bool:
        """Tell whether any event was recorded for the aggregate."""
        return self.version > 0

    @property
    def execution(self) -> Execution:
        """The command's run: who asked, the time, and new ids."""
        return self._execution

    def record(self, event: Message) -> None:
        """Apply an event and keep it for the commit.

        Raises TypeError when the aggregate has no applier for the event.
        """
        apply_event(self, event)
        self.recorded.append(event)


def apply_event(aggregate: Aggregate[Any], event: Message) -> None:
    """Fold one event into the aggregate and raise its version by one."""
    applier = aggregate.appliers.get(type(event))
    if applier is None:
        raise TypeError(f"{type(aggregate).__name__} has no applier for {event.DESCRIPTOR.full_name}")
    applier(aggregate, event)
    aggregate.version = Version(aggregate.version + 1)


def _marked(cls: type, mark: str) -> dict[type[Message], Any]:
    found: dict[type[Message], Any] = {}
    for method in vars(cls).values():
        message = getattr(method, mark, None)
        if message is None:
            continue
        if message in found:
            raise TypeError(f"{cls.__name__}: two methods are marked for {message.DESCRIPTOR.full_name}")
        found[message] = method
    return found
