"""Enforces the rules that contracts put on their messages, before anything is stored."""

import protovalidate
from google.protobuf.message import Message
from protovalidate import FieldPathPb

from comby.server.application.errors import FieldViolation, InvalidMessage

VIOLATIONS_TOLD = 20
"""How many broken rules a caller is told of."""


class Validation:
    """Checks messages against their `buf.validate` rules."""

    def __init__(self) -> None:
        self._validator = protovalidate.Validator()

    def check(self, message: Message) -> None:
        """Raise InvalidMessage when a rule is broken."""
        violations = self._validator.collect_violations(message)
        if violations:
            told = [violation.proto for violation in violations[:VIOLATIONS_TOLD]]
            raise InvalidMessage(
                message.DESCRIPTOR.full_name,
                [FieldViolation(_path(one.field), one.rule_id, one.message) for one in told],
            )


def _path(field: FieldPathPb | None) -> str:
    """Write a field path as "lines[2].sku"."""
    if field is None:
        return ""
    parts = []
    for element in field.elements:
        subscript = element.subscript
        parts.append(element.field_name + ("" if subscript is None else f"[{subscript.value}]"))
    return ".".join(parts)
