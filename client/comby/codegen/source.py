"""The comments of a .proto file, and the lines on which its elements stand."""

from collections.abc import Iterator
from typing import TypeAlias

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    ServiceDescriptorProto,
)

DOMAIN_NUMBER = 68730  # the extension comby.options.v1.domain

Path: TypeAlias = tuple[int, ...]

# The numbers by which google.protobuf.SourceCodeInfo.Location.path names an element's place.
_MESSAGES = FileDescriptorProto.MESSAGE_TYPE_FIELD_NUMBER
_ENUMS = FileDescriptorProto.ENUM_TYPE_FIELD_NUMBER
_SERVICES = FileDescriptorProto.SERVICE_FIELD_NUMBER
_OPTIONS = FileDescriptorProto.OPTIONS_FIELD_NUMBER
_FIELDS = DescriptorProto.FIELD_FIELD_NUMBER
_NESTED = DescriptorProto.NESTED_TYPE_FIELD_NUMBER
_NESTED_ENUMS = DescriptorProto.ENUM_TYPE_FIELD_NUMBER
_VALUES = EnumDescriptorProto.VALUE_FIELD_NUMBER
_METHODS = ServiceDescriptorProto.METHOD_FIELD_NUMBER


class Source:
    """Answers by full name, such as `shop.order.v1.PlaceOrder.order_id`."""

    def __init__(self, file: FileDescriptorProto) -> None:
        self._file = file.name
        self._docs: dict[str, str] = {}
        self._lines: dict[str, int] = {}
        self._domain_line = 1
        names = dict(_names(file))
        for location in file.source_code_info.location:
            path = tuple(location.path)
            if path[:2] == (_OPTIONS, DOMAIN_NUMBER):
                self._domain_line = location.span[0] + 1
            if (name := names.get(path)) is not None:
                self._lines[name] = location.span[0] + 1
                self._docs[name] = "\n".join(line.strip() for line in location.leading_comments.strip().splitlines())

    def doc(self, full_name: str) -> str:
        """Return the leading comment; empty without one."""
        return self._docs.get(full_name, "")

    def at(self, full_name: str) -> str:
        """Return `file:line` of an element."""
        return f"{self._file}:{self._lines.get(full_name, 1)}"

    def at_domain(self) -> str:
        """Return `file:line` of the domain option, or of the file's first line without one."""
        return f"{self._file}:{self._domain_line}"


def _names(file: FileDescriptorProto) -> Iterator[tuple[Path, str]]:
    package = f"{file.package}." if file.package else ""
    for i, message in enumerate(file.message_type):
        yield from _message_names(message, (_MESSAGES, i), package)
    for i, enum in enumerate(file.enum_type):
        yield from _enum_names(enum, (_ENUMS, i), package)
    for i, service in enumerate(file.service):
        yield (_SERVICES, i), f"{package}{service.name}"
        for j, method in enumerate(service.method):
            yield (_SERVICES, i, _METHODS, j), f"{package}{service.name}.{method.name}"


def _message_names(message: DescriptorProto, path: Path, prefix: str) -> Iterator[tuple[Path, str]]:
    name = f"{prefix}{message.name}"
    yield path, name

    for i, field in enumerate(message.field):
        yield (*path, _FIELDS, i), f"{name}.{field.name}"
    for i, nested in enumerate(message.nested_type):
        yield from _message_names(nested, (*path, _NESTED, i), f"{name}.")
    for i, enum in enumerate(message.enum_type):
        yield from _enum_names(enum, (*path, _NESTED_ENUMS, i), f"{name}.")


def _enum_names(enum: EnumDescriptorProto, path: Path, prefix: str) -> Iterator[tuple[Path, str]]:
    yield path, f"{prefix}{enum.name}"
    for i, value in enumerate(enum.value):
        yield (*path, _VALUES, i), f"{prefix}{enum.name}.{value.name}"
