"""Indexed fields of read models: their values as text whose order by code point is the order of the values."""

import hashlib
from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from comby.server.application.errors import FieldViolation, InvalidMessage
from comby.server.application.refusals import RegistrationRefused

MOST_INDEXED = 8
LONGEST_VALUE = 256
"""Characters of a string that are ordered by."""
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
}
_OFFSET = 1 << 64


def check_indexed(message: Descriptor, names: tuple[str, ...]) -> None:
    """Refuse fields that can not be indexed."""
    if len(names) > MOST_INDEXED:
        raise RegistrationRefused(f"{message.full_name} indexes {len(names)} fields; at most {MOST_INDEXED}")
    for name in names:
        field = message.fields_by_name.get(name)
        if field is None or field.is_repeated or not _indexable(field):
            raise RegistrationRefused(
                f"{message.full_name} indexes {name}, which is not a singular string, integer, bool or enum field of it"
            )


def index(row: Message, names: tuple[str, ...]) -> dict[str, str]:
    """Return the indexed values of a row."""
    return {name: encode(getattr(row, name)) for name in names}


def encode(value: str | int | bool) -> str:
    """Write a value so that texts order as values do, and equal texts mean equal values.

    Beyond LONGEST_VALUE characters a string keeps its beginning and a digest: equality holds, the order among such
    strings does not.
    """
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int):
        return f"{value + _OFFSET:017x}"
    text = value.replace("\0", "\ufffd")
    if len(text) <= LONGEST_VALUE:
        return text
    return text[:LONGEST_VALUE] + hashlib.sha256(text.encode()).hexdigest()


def encode_filter(message: Descriptor, names: tuple[str, ...], filter: Mapping[str, Any]) -> dict[str, str]:
    """Encode the values of a filter, each a value or its text as in protobuf JSON; raises InvalidMessage for what
    does not fit."""
    encoded = {}
    for name, value in filter.items():
        if name not in names:
            raise InvalidMessage(
                message.full_name,
                [FieldViolation(f"filter[{name[:64]}]", "indexed", f"not one of {', '.join(names) or 'no fields'}")],
            )
        try:
            encoded[name] = encode(_parse(message.fields_by_name[name], value))
        except ValueError:
            raise InvalidMessage(
                message.full_name, [FieldViolation(f"filter[{name}]", "value", "not a value of the field")]
            ) from None
    return encoded


def check_order(message: Descriptor, names: tuple[str, ...], order_by: str) -> None:
    """Raise InvalidMessage unless rows can be ordered by the field."""
    if order_by and order_by not in names:
        raise InvalidMessage(
            message.full_name, [FieldViolation("order_by", "indexed", f"not one of {', '.join(names) or 'no fields'}")]
        )


def _indexable(field: FieldDescriptor) -> bool:
    return field.cpp_type in _INTEGERS or field.type in (
        FieldDescriptor.TYPE_STRING,
        FieldDescriptor.TYPE_BOOL,
        FieldDescriptor.TYPE_ENUM,
    )


def _parse(field: FieldDescriptor, value: Any) -> str | int | bool:
    if field.type == FieldDescriptor.TYPE_STRING:
        return str(value)
    if field.type == FieldDescriptor.TYPE_BOOL:
        if value in (True, "true"):
            return True
        if value in (False, "false"):
            return False
        raise ValueError
    if field.enum_type is not None and isinstance(value, str) and not value.lstrip("-").isdigit():
        found = field.enum_type.values_by_name.get(value)
        if found is None:
            raise ValueError
        return int(found.number)
    return int(value)
