"""Clears the fields that are marked internal, wherever they stand in an answer: they never leave the server."""

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from comby.options.v1 import options_pb2
from comby.server.application.contract import descriptor_of


class Scrubber:
    """Knows, for each message, whether it can hold internal fields; most can not, and cost nothing."""

    def __init__(self) -> None:
        self._known: dict[str, bool] = {}

    def scrub(self, message: Message) -> None:
        """Clear the internal fields of a message that is the caller's own."""
        descriptor = descriptor_of(type(message))
        if not self._concerned(descriptor, frozenset()):
            return
        for field, value in message.ListFields():
            if field.GetOptions().Extensions[options_pb2.internal]:
                message.ClearField(field.name)
            elif field.message_type is not None and self._concerned(field.message_type, frozenset()):
                for inner in _messages(field, value):
                    self.scrub(inner)

    def _concerned(self, descriptor: Descriptor, above: frozenset[str]) -> bool:
        name = descriptor.full_name
        if name in self._known:
            return self._known[name]
        if name in above:
            return False
        found = any(
            field.GetOptions().Extensions[options_pb2.internal]
            or (field.message_type is not None and self._concerned(field.message_type, above | {name}))
            for field in descriptor.fields
        )
        if found or not above:
            self._known[name] = found
        return found


def _messages(field: FieldDescriptor, value: Any) -> Iterator[Message]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        yield from (inner for inner in value.values() if isinstance(inner, Message))
    elif field.is_repeated:
        yield from value
    else:
        yield value
