"""Reads what a failed call tells."""

from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

KEY = "grpc-status-details-bin"


def trailing(error: aio.AioRpcError) -> dict[str, str | bytes]:
    """Return the trailing metadata."""
    return dict(error.trailing_metadata())


def status(error: aio.AioRpcError) -> status_pb2.Status:
    """Return the status in the details."""
    raw = trailing(error)[KEY]
    assert isinstance(raw, bytes)
    return status_pb2.Status.FromString(raw)


def info(told: status_pb2.Status) -> error_details_pb2.ErrorInfo:
    """Return the ErrorInfo of a status."""
    found = error_details_pb2.ErrorInfo()
    assert told.details[0].Unpack(found)
    return found


def detail(told: status_pb2.Status, kind: type[Message]) -> Message:
    """Return the detail of a kind."""
    (one,) = [found for found in told.details if found.Is(kind.DESCRIPTOR)]
    message = kind()
    one.Unpack(message)
    return message
