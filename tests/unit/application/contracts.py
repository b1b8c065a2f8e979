"""Contracts made on the spot, right or wrong, for tests of what registration refuses."""

from itertools import count

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.message import Message

from comby.options.v1 import options_pb2

_numbers = count(1)
STRING = FieldDescriptorProto.TYPE_STRING
INT64 = FieldDescriptorProto.TYPE_INT64
BYTES = FieldDescriptorProto.TYPE_BYTES
DOUBLE = FieldDescriptorProto.TYPE_DOUBLE


class Contract:
    """A file of its own package; `build` makes its messages."""

    def __init__(self, domain: str | None = "Shelf") -> None:
        number = next(_numbers)
        self.file = FileDescriptorProto(
            name=f"made/contract_{number}.proto", package=f"made.contract_{number}", syntax="proto3"
        )
        self.file.dependency.append("comby/options/v1/options.proto")
        if domain is not None:
            self.file.options.Extensions[options_pb2.domain].name = domain

    def message(self, name: str, *fields: str, type: FieldDescriptorProto.Type.ValueType = STRING) -> DescriptorProto:
        """Add a message; a field is written "name", "id name" for an aggregate id, or "many name" for a repeated one."""
        message = self.file.message_type.add(name=name)
        for number, text in enumerate(fields, 1):
            kind, _, field_name = text.rpartition(" ")
            label = FieldDescriptorProto.LABEL_REPEATED if kind == "many" else FieldDescriptorProto.LABEL_OPTIONAL
            field = message.field.add(name=field_name, number=number, type=type, label=label)
            if kind == "id":
                field.options.Extensions[options_pb2.aggregate_id] = True
        return message

    def aggregate(self, name: str = "Book", *fields: str, indexed: tuple[str, ...] = (), **options: object) -> None:
        message = self.message(name, *(fields or ("title",)), **options)  # type: ignore[arg-type]
        message.options.Extensions[options_pb2.aggregate].indexed.extend(indexed)

    def command(self, name: str = "WriteBook", *fields: str, aggregate: str = "") -> None:
        message = self.message(name, *(fields or ("id book_id",)))
        message.options.Extensions[options_pb2.command].aggregate = aggregate
        message.options.Extensions[options_pb2.command].creates = True

    def event(self, name: str = "BookWritten", *, aggregate: str = "", aliases: tuple[str, ...] = ()) -> None:
        options = self.message(name, "title").options.Extensions[options_pb2.event]
        options.aggregate = aggregate
        options.aliases.extend(aliases)

    def query(self, name: str = "GetBook", *fields: str) -> None:
        message = self.message(name, *(fields or ("book_id",)))
        message.options.Extensions[options_pb2.query].SetInParent()

    def method(self, name: str, takes: str, answers: str, *, streams: bool = False) -> None:
        service = self.file.service[0] if self.file.service else self.file.service.add(name="BookService")
        package = self.file.package
        service.method.add(
            name=name,
            input_type=f".{package}.{takes}",
            output_type=f".{package}.{answers}",
            server_streaming=streams,
        )

    def build(self) -> dict[str, type[Message]]:
        """Return the messages by name."""
        pool = descriptor_pool.Default()
        pool.Add(self.file)
        file = pool.FindFileByName(self.file.name)
        return {
            name: message_factory.GetMessageClass(descriptor) for name, descriptor in file.message_types_by_name.items()
        }
