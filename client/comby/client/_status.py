"""Turn what a call ended with into a receipt or an error of the tree.

The class is chosen by ErrorInfo.reason first, then by the status code, and never by text.
"""

from collections.abc import Iterable, Mapping

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2  # pyright: ignore[reportMissingTypeStubs]  # it has none

from comby.client import _errors as errors
from comby.client import _stage
from comby.client._outcome import CombyError, ErrorDetails, Receipt, Violation, Waiting
from comby.client._stage import Stage
from comby.facade.v1 import command_pb2

FACADE_DOMAIN = "comby.facade.v1"  # error.proto: the domain of the facade's own reasons
DETAILS_KEY = "grpc-status-details-bin"
REQUEST_ID_KEY = "comby-request-id"

_BY_REASON: Mapping[str, type[CombyError]] = {
    "INVALID_MESSAGE": errors.InvalidArgument,
    "INVALID_METADATA": errors.InvalidArgument,
    "INVALID_TOKEN": errors.InvalidArgument,
    "UNKNOWN_TYPE": errors.InvalidArgument,
    "LIMIT_EXCEEDED": errors.InvalidArgument,
    "UNKNOWN_METHOD": errors.Unimplemented,
    "AGGREGATE_NOT_FOUND": errors.NotFound,
    "COMMAND_NOT_FOUND": errors.NotFound,
    "CONSUMER_NOT_FOUND": errors.NotFound,
    "AGGREGATE_EXISTS": errors.AlreadyExists,
    "REQUEST_ID_REUSED": errors.AlreadyExists,
    "VERSION_CONFLICT": errors.VersionConflict,
    "COMMAND_NOT_PARKED": errors.FailedPrecondition,
    "COMMAND_FINISHED": errors.FailedPrecondition,
    "REBUILD_RUNNING": errors.FailedPrecondition,
    "COMMAND_PARKED": errors.CommandParked,
    "COMMAND_CANCELLED": errors.CommandCancelled,
    "OVERLOADED": errors.Overloaded,
    "STORE_UNAVAILABLE": errors.Unavailable,
    "SHUTTING_DOWN": errors.Unavailable,
    "POSITION_BEYOND_HEAD": errors.OutOfRange,
    "LOG_REPLACED": errors.LogReplaced,
    "LAGGING": errors.Lagging,
    "INTERNAL": errors.InternalError,
    "DEADLINE_EXCEEDED": errors.DeadlineExceeded,
}

_BY_CODE: Mapping[grpc.StatusCode, type[CombyError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidArgument,
    grpc.StatusCode.UNAUTHENTICATED: errors.Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: errors.PermissionDenied,
    grpc.StatusCode.UNIMPLEMENTED: errors.Unimplemented,
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.ALREADY_EXISTS: errors.AlreadyExists,
    grpc.StatusCode.ABORTED: errors.Aborted,
    grpc.StatusCode.FAILED_PRECONDITION: errors.FailedPrecondition,
    grpc.StatusCode.OUT_OF_RANGE: errors.OutOfRange,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.Overloaded,
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineExceeded,
    grpc.StatusCode.INTERNAL: errors.InternalError,
}

_CODES: Mapping[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


def from_call(error: grpc.aio.AioRpcError) -> CombyError:
    """Return the error of a call that failed."""
    status = status_pb2.Status()
    request_id = ""
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            status = _parsed(value)
        elif key == REQUEST_ID_KEY:
            request_id = value if isinstance(value, str) else value.decode(errors="replace")
    return _error(error.code(), error.details() or "", status.details, request_id)


def from_status(status: status_pb2.Status, request_id: str) -> CombyError:
    """Return the error that a receipt carries."""
    return _error(_CODES.get(status.code, grpc.StatusCode.UNKNOWN), status.message, status.details, request_id)


def receipt_from_wire(receipt: command_pb2.CommandReceipt, waiting: Waiting | None = None) -> Receipt:
    """Return a receipt, with its error typed; `waiting` lets it wait further."""
    error = from_status(receipt.error, receipt.request_id) if receipt.HasField("error") else None
    return Receipt(
        request_id=receipt.request_id,
        stage=_stage.from_wire(receipt.stage) or (Stage.ACCEPTED if error is None else Stage.REJECTED),
        aggregate_id=receipt.aggregate_id,
        aggregate_version=receipt.aggregate_version,
        consistency_token=receipt.consistency_token,
        event_ids=tuple(receipt.event_ids),
        error=error,
        waiting=waiting,
    )


def local(code: grpc.StatusCode, message: str) -> CombyError:
    """Return an error that the SDK itself found, without an answer of the server."""
    return _error(code, message, (), "")


def _parsed(value: bytes) -> status_pb2.Status:
    try:
        return status_pb2.Status.FromString(value)
    except DecodeError:
        return status_pb2.Status()  # something between client and server made the trailer


def _error(code: grpc.StatusCode, message: str, details: Iterable[Any], request_id: str) -> CombyError:
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    retry, receipt = error_details_pb2.RetryInfo(), command_pb2.CommandReceipt()
    has_retry = has_receipt = False
    for detail in details:
        detail.Unpack(info)
        detail.Unpack(bad)
        has_retry = detail.Unpack(retry) or has_retry
        has_receipt = detail.Unpack(receipt) or has_receipt
    found = ErrorDetails(
        code=code,
        message=message,
        reason=info.reason,
        domain=info.domain,
        metadata=dict(info.metadata),
        violations=tuple(Violation(field=v.field, description=v.description) for v in bad.field_violations),
        request_id=receipt.request_id or request_id,
        receipt=receipt_from_wire(receipt) if has_receipt else None,
        retry_delay=retry.retry_delay.ToMicroseconds() / 1e6 if has_retry else None,
    )
    return _class(found)(found)


def _class(details: ErrorDetails) -> type[CombyError]:
    if details.domain == FACADE_DOMAIN and details.reason in _BY_REASON:
        return _BY_REASON[details.reason]
    if details.reason and details.domain != FACADE_DOMAIN and details.code is grpc.StatusCode.FAILED_PRECONDITION:
        return errors.Rejected
    return _BY_CODE.get(details.code, CombyError)
