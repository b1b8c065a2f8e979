"""Read comby's own options from descriptors.

They are extensions, unknown to the classes of protobuf itself, so they are parsed with classes made from the pool
of the files at hand. That needs no generated code, not even comby's own.
"""

from dataclasses import dataclass
from typing import TypeAlias

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

PACKAGE = "comby.options.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateKind:
    """The message is the state of an aggregate."""

    word = "aggregate"
    indexed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandKind:
    """The message is a command."""

    word = "command"
    aggregate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryKind:
    """The message is a query."""

    word = "query"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventKind:
    """The message is an event."""

    word = "event"
    aggregate: str
    aliases: tuple[str, ...]


Kind: TypeAlias = AggregateKind | CommandKind | QueryKind | EventKind


class OptionReader:
    """Reads the options of the descriptors of one pool."""

    def __init__(self, pool: DescriptorPool) -> None:
        self._pool = pool

    def domain(self, file: FileDescriptor) -> str | None:
        """Return the domain's name; None without the option."""
        option = self._extension(file, "FileOptions", "domain")
        return None if option is None else _text(option, "name")

    def kinds(self, message: Descriptor) -> tuple[Kind, ...]:
        """Return what the message is marked as: nothing, one kind, or (wrongly) several."""
        found: list[Kind] = []
        if (option := self._extension(message, "MessageOptions", "aggregate")) is not None:
            found.append(AggregateKind(indexed=_texts(option, "indexed")))
        if (option := self._extension(message, "MessageOptions", "command")) is not None:
            found.append(CommandKind(aggregate=_text(option, "aggregate")))
        if self._extension(message, "MessageOptions", "query") is not None:
            found.append(QueryKind())
        if (option := self._extension(message, "MessageOptions", "event")) is not None:
            found.append(EventKind(aggregate=_text(option, "aggregate"), aliases=_texts(option, "aliases")))
        return tuple(found)

    def is_aggregate_id(self, field: FieldDescriptor) -> bool:
        return bool(self._extension(field, "FieldOptions", "aggregate_id"))

    def _extension(
        self, descriptor: FileDescriptor | Descriptor | FieldDescriptor, options: str, name: str
    ) -> object | None:
        try:
            extension = self._pool.FindExtensionByName(f"{PACKAGE}.{name}")
        except KeyError:
            return None  # no file at hand imports comby's options
        class_ = message_factory.GetMessageClass(self._pool.FindMessageTypeByName(f"google.protobuf.{options}"))
        parsed = class_.FromString(descriptor.GetOptions().SerializeToString())
        # An extension that was found at run time has no static type, so it is looked for among the fields that are set.
        return next((value for field, value in parsed.ListFields() if field is extension), None)


def _text(option: object, field: str) -> str:
    assert isinstance(option, Message)
    return str(getattr(option, field))


def _texts(option: object, field: str) -> tuple[str, ...]:
    assert isinstance(option, Message)
    return tuple(str(text) for text in getattr(option, field))
