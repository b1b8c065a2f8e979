"""The one table from an error's reason to its code, and the status that a caller gets.

Details are bounded: they travel in a header, and a client gives up on headers above 8 KiB.
"""

from collections.abc import Mapping
from types import MappingProxyType

from google.protobuf import duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from comby.server.application.errors import FACADE_DOMAIN, RETRY_SECONDS, FacadeError, InvalidMessage
from comby.server.rpc.errors import UnknownService

CODES: Mapping[str, code_pb2.Code] = MappingProxyType(
    {
        "INVALID_MESSAGE": code_pb2.INVALID_ARGUMENT,
        "INVALID_METADATA": code_pb2.INVALID_ARGUMENT,
        "INVALID_TOKEN": code_pb2.INVALID_ARGUMENT,
        "UNKNOWN_TYPE": code_pb2.INVALID_ARGUMENT,
        "UNKNOWN_METHOD": code_pb2.UNIMPLEMENTED,
        "LIMIT_EXCEEDED": code_pb2.INVALID_ARGUMENT,
        "AGGREGATE_NOT_FOUND": code_pb2.NOT_FOUND,
        "AGGREGATE_EXISTS": code_pb2.ALREADY_EXISTS,
        "VERSION_CONFLICT": code_pb2.ABORTED,
        "REQUEST_ID_REUSED": code_pb2.ALREADY_EXISTS,
        "COMMAND_NOT_FOUND": code_pb2.NOT_FOUND,
        "COMMAND_NOT_PARKED": code_pb2.FAILED_PRECONDITION,
        "COMMAND_FINISHED": code_pb2.FAILED_PRECONDITION,
        "COMMAND_PARKED": code_pb2.INTERNAL,
        "COMMAND_CANCELLED": code_pb2.ABORTED,
        "OVERLOADED": code_pb2.RESOURCE_EXHAUSTED,
        "STORE_UNAVAILABLE": code_pb2.UNAVAILABLE,
        "SHUTTING_DOWN": code_pb2.UNAVAILABLE,
        "POSITION_BEYOND_HEAD": code_pb2.OUT_OF_RANGE,
        "LOG_REPLACED": code_pb2.FAILED_PRECONDITION,
        "LAGGING": code_pb2.FAILED_PRECONDITION,
        "CONSUMER_NOT_FOUND": code_pb2.NOT_FOUND,
        "INTERNAL": code_pb2.INTERNAL,
        "REBUILD_RUNNING": code_pb2.FAILED_PRECONDITION,
        "DEADLINE_EXCEEDED": code_pb2.DEADLINE_EXCEEDED,
    }
)
RETRIED = frozenset({"OVERLOADED", "STORE_UNAVAILABLE", "SHUTTING_DOWN"})
"""Reasons whose status tells when to try again."""

METADATA_BYTES = 2048
"""Metadata of an error, keys and values; what is beyond is left out."""
VIOLATIONS_BYTES = 2048
"""Field violations of an error; what is beyond is left out."""
VALUE_LENGTH = 512
"""Characters of one metadata value or description; what is beyond is cut."""


def code_of(error: FacadeError) -> code_pb2.Code:
    """Return the code of an error; a business rule is FAILED_PRECONDITION, whatever its reason."""
    if error.domain == FACADE_DOMAIN:
        return CODES.get(error.reason, code_pb2.INTERNAL)
    if error.domain == UnknownService.domain:
        return code_pb2.NOT_FOUND
    return code_pb2.FAILED_PRECONDITION


def status_of(error: FacadeError, *further: Message) -> status_pb2.Status:
    """Encode an error as the status of a call or of a receipt: the same for both, but for `further` details."""
    status = status_pb2.Status(code=code_of(error), message=error.reason.lower().replace("_", " "))
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=error.domain, metadata=_bounded(error.metadata))
    status.details.add().Pack(info)
    if isinstance(error, InvalidMessage) and error.violations:
        status.details.add().Pack(_bad_request(error))
    if error.reason in RETRIED and error.domain == FACADE_DOMAIN:
        delay = duration_pb2.Duration(nanos=int(RETRY_SECONDS * 1_000_000_000))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    for detail in further:
        status.details.add().Pack(detail)
    return status


def _bad_request(error: InvalidMessage) -> error_details_pb2.BadRequest:
    told = error_details_pb2.BadRequest()
    for violation in error.violations:
        told.field_violations.add(
            field=_text(violation.field), reason=_text(violation.rule), description=_text(violation.description)
        )
        if told.ByteSize() > VIOLATIONS_BYTES:
            del told.field_violations[-1]
            break
    return told


def _bounded(metadata: Mapping[str, str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    left = METADATA_BYTES
    for key, value in metadata.items():
        text = _text(value)
        left -= len(key) + len(text.encode())
        if left < 0:
            break
        kept[key] = text
    return kept


def _text(value: str) -> str:
    """Cut a text, and replace what UTF-8 can not hold."""
    return value[:VALUE_LENGTH].encode("utf-8", "replace").decode()
