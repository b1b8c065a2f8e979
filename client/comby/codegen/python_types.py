"""How a field or message is written in Python: its annotation, default and import."""

import keyword
import re
from dataclasses import dataclass

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor

# What a generated method's parameters are called beside the message's fields.
_ALWAYS = frozenset({"self", "message", "tenant_id", "timeout"})
COMMAND_OPTIONS = _ALWAYS | {"wait", "wait_timeout", "request_id", "expected_version", "not_before"}
QUERY_OPTIONS = _ALWAYS | {"consistency"}

_SCALARS = {
    FieldDescriptor.CPPTYPE_INT32: ("int", "0"),
    FieldDescriptor.CPPTYPE_INT64: ("int", "0"),
    FieldDescriptor.CPPTYPE_UINT32: ("int", "0"),
    FieldDescriptor.CPPTYPE_UINT64: ("int", "0"),
    FieldDescriptor.CPPTYPE_DOUBLE: ("float", "0.0"),
    FieldDescriptor.CPPTYPE_FLOAT: ("float", "0.0"),
    FieldDescriptor.CPPTYPE_BOOL: ("bool", "False"),
}


def snake(name: str) -> str:
    """Return PlaceOrder as place_order, and GetHTTPStatus as get_http_status."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def safe(name: str, taken: frozenset[str] = frozenset()) -> str:
    """Return the name, with underscores behind it where it is a keyword or taken."""
    while keyword.iskeyword(name) or name in taken:
        name += "_"
    return name


class Imports:
    """Collects the modules that a file imports; two modules of one name get aliases."""

    def __init__(self) -> None:
        self._aliases: dict[str, str] = {}

    def type(self, descriptor: Descriptor | EnumDescriptor) -> str:
        """Return the dotted name of a message or enum, and import its module."""
        return f"{self.module(descriptor.file)}.{_within_file(descriptor)}"

    def zero(self, enum: EnumDescriptor) -> str:
        """Return the dotted name of the enum's first value."""
        within, _, _ = _within_file(enum).rpartition(".")
        scope = f"{self.module(enum.file)}.{within}" if within else self.module(enum.file)
        return f"{scope}.{enum.values[0].name}"

    def module(self, file: FileDescriptor) -> str:
        path = file.name.removesuffix(".proto").replace("-", "_").replace("/", ".") + "_pb2"
        name = path.rpartition(".")[2]
        if path not in self._aliases:
            self._aliases[path] = path.replace(".", "_") if name in self._aliases.values() else name
        return self._aliases[path]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._aliases.values())

    def lines(self) -> list[str]:
        return sorted(self._line(path, alias) for path, alias in self._aliases.items())

    @staticmethod
    def _line(path: str, alias: str) -> str:
        package, _, name = path.rpartition(".")
        statement = f"from {package} import {name}" if package else f"import {name}"
        return statement if name == alias else f"{statement} as {alias}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A field as a keyword parameter."""

    field: FieldDescriptor
    name: str
    annotation: str
    default: str

    @property
    def is_keyword(self) -> bool:
        """Whether the field's name can not stand in a call."""
        return keyword.iskeyword(self.field.name)

    @property
    def set_later(self) -> bool:
        """Whether it is set after construction: the constructor's types know no absent member of a oneof."""
        return _in_oneof(self.field) and not self.is_keyword

    @property
    def setting(self) -> str:
        """The statement that sets it on `message`."""
        field = f"message.{self.field.name}"
        return f"{field}.CopyFrom({self.name})" if self.field.message_type is not None else f"{field} = {self.name}"


def parameter(field: FieldDescriptor, imports: Imports, taken: frozenset[str]) -> Parameter:
    """Return how a method takes the field, beside parameters of the names `taken`."""
    annotation, default = _annotation(field, imports)
    return Parameter(field=field, name=safe(field.name, taken), annotation=annotation, default=default)


def _annotation(field: FieldDescriptor, imports: Imports) -> tuple[str, str]:
    if _is_map(field):
        assert field.message_type is not None
        key, value = (_single(field.message_type.fields_by_name[name], imports)[0] for name in ("key", "value"))
        return f"Mapping[{key}, {value}] | None", "None"
    annotation, default = _single(field, imports)
    if field.is_repeated:
        return f"Iterable[{annotation}]", "()"
    return (f"{annotation} | None", "None") if field.has_presence else (annotation, default)


def _single(field: FieldDescriptor, imports: Imports) -> tuple[str, str]:
    if field.message_type is not None:
        return imports.type(field.message_type), "None"
    if field.enum_type is not None:
        return f"{imports.type(field.enum_type)}.ValueType", imports.zero(field.enum_type)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return ("bytes", 'b""') if field.type == FieldDescriptor.TYPE_BYTES else ("str", '""')
    return _SCALARS[field.cpp_type]


def _within_file(descriptor: Descriptor | EnumDescriptor) -> str:
    package = descriptor.file.package
    return descriptor.full_name.removeprefix(f"{package}." if package else "")


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _in_oneof(field: FieldDescriptor) -> bool:
    """Whether the field is in a oneof that someone wrote: `optional` makes one too, with an underscore first."""
    oneof = field.containing_oneof
    return oneof is not None and not (len(oneof.fields) == 1 and oneof.name == f"_{field.name}")
