"""Commands that need more than one aggregate: async handlers, and what they may use."""

from typing import Any, ClassVar, Protocol, TypeVar

from google.protobuf.message import Message

from comby.server.domain.aggregate import HANDLES, Aggregate
from comby.server.domain.context import Execution

AggregateT = TypeVar("AggregateT", bound=Aggregate[Any])


class CommandContext(Protocol):
    """What an async command handler may use. All that it records is committed at once, or not at all."""

    @property
    def execution(self) -> Execution:
        """The command's run: who asked, the time, and new ids."""
        ...

    async def load(self, aggregate: type[AggregateT], aggregate_id: str) -> AggregateT:
        """Load an aggregate of the command's tenant; the same object when asked twice.

        Whatever is loaded, written or not, must still be at its version when the command is committed; otherwise the
        handler runs again. An aggregate that does not exist is returned at version 0; a handler that records on one whose
        id is no UUID fails.
        """
        ...


class CommandHandlers:
    """Async handlers, marked with `@handles`: `async def move(self, command: Move, context: CommandContext) -> None`.

    One object serves all commands, so it must keep no state between them. It must have no effect but what it records:
    it may run several times. Effects belong in reactors.
    """

    handlers: ClassVar[dict[type[Message], Any]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own = {getattr(method, HANDLES): method for method in vars(cls).values() if hasattr(method, HANDLES)}
        cls.handlers = cls.handlers | own
