"""Messages as JSON, with every Any in them decoded by the server's types; base64 where a type is unknown."""

import base64
import json
from collections.abc import Iterator

from google.protobuf import json_format
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from comby.client.cli._reflection import ServerTypes


class Printer:
    """Writes messages as JSON, one a line."""

    def __init__(self, types: ServerTypes) -> None:
        self._types = types

    async def line(self, message: Message) -> str:
        return json.dumps(await self.value(message), ensure_ascii=False)

    async def value(self, message: Message) -> dict[str, object]:
        """Return what json.dumps takes."""
        copy = type(message)()
        copy.CopyFrom(message)
        await self._prepare(copy)
        value: dict[str, object] = json_format.MessageToDict(copy, descriptor_pool=self._types.pool)
        return value

    async def _prepare(self, message: Message) -> None:
        """Learn the type of every Any, and replace one of an unknown type by its bytes in base64."""
        for any_ in _anys(message):
            if not any_.type_url or await self._types.learn(any_.TypeName()):
                continue
            unknown = Struct()
            unknown.update({"unknown": any_.TypeName(), "base64": base64.b64encode(any_.value).decode()})
            any_.Pack(unknown)
            await self._types.learn(any_.TypeName())


def _anys(message: Message) -> Iterator[Any]:
    if isinstance(message, Any):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue  # no message of the facade has a map of messages
        for item in value if field.is_repeated else [value]:
            yield from _anys(item)
