"""How a failed call ends: every exception becomes a typed status, and what was not expected becomes an incident."""

import asyncio

import structlog
from google.protobuf.message import Message
from google.rpc import code_pb2

from comby.server.application.errors import FacadeError, Internal, Unavailable
from comby.server.application.incidents import report
from comby.server.ports.errors import StoreUnavailable
from comby.server.rpc.call import Call, new_request_id
from comby.server.rpc.encoding import receipt_without_error
from comby.server.rpc.errors import CallFailed, CommandRefused
from comby.server.rpc.status import status_of

_log = structlog.get_logger("comby.access")
OURS = frozenset({code_pb2.INTERNAL, code_pb2.UNAVAILABLE, code_pb2.RESOURCE_EXHAUSTED})
"""Codes that tell of a trouble of the server, and not of a mistake of the caller."""


def failure(call: Call, error: BaseException) -> BaseException:
    """Return the CallFailed to raise for an error; a cancellation by the transport is returned as it is.

    A caller gets no text of an exception: of an unexpected one it gets the incident, under which the log has the cause.
    """
    match error:
        case CommandRefused():
            return refusal(call, error.error, receipt_without_error(error.receipt))
        case FacadeError():
            return refusal(call, error)
        case StoreUnavailable():
            return refusal(call, Unavailable())
        case asyncio.CancelledError() if _cancelled_by_transport():
            return error
        case _:
            return refusal(call, Internal(report("call failed", error, method=call.path, request_id=call.request_id)))


def told(error: BaseException, what: str, **where: str) -> FacadeError:
    """Return what is told of an error on a stream of many commands; one that is unexpected is reported as `what`."""
    match error:
        case FacadeError():
            return error
        case StoreUnavailable():
            return Unavailable()
        case _:
            return Internal(report(what, error, **where))


def refusal(call: Call, error: FacadeError, *further: Message) -> CallFailed:
    """Return how a call ends with an error, and log that it does. A call that was refused before it was read gets its request id here."""
    call.request_id = call.request_id or new_request_id()
    status = status_of(error, *further)
    _log_access(call, status.code, error.reason)
    return CallFailed(status)


def _cancelled_by_transport() -> bool:
    """Tell whether this very task is being cancelled; otherwise the cancellation leaked out of something that it awaited."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _log_access(call: Call, code: int, reason: str) -> None:
    log = _log.warning if code in OURS else _log.info
    log(
        "call refused",
        method=call.path if call.path.isprintable() else "",
        code=code_pb2.Code.Name(code),
        reason=reason,
        request_id=call.request_id,
    )
