"""An error's class is chosen by its reason, then by its code, and never by text."""

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from comby import client
from comby.client import _status
from comby.facade.v1 import command_pb2, error_pb2

FACADE = "comby.facade.v1"


def status(code: grpc.StatusCode, *details: Message) -> status_pb2.Status:
    made = status_pb2.Status(code=code.value[0], message="words")
    for detail in details:
        made.details.add().Pack(detail)
    return made


def info(reason: str, domain: str = FACADE, **metadata: str) -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata)


def test_every_reason_of_the_facade_has_a_class() -> None:
    reasons = {name.removeprefix("ERROR_REASON_") for name, number in error_pb2.ErrorReason.items() if number}
    assert reasons == set(_status._BY_REASON)


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_MESSAGE", client.InvalidArgument),
        (grpc.StatusCode.NOT_FOUND, "AGGREGATE_NOT_FOUND", client.NotFound),
        (grpc.StatusCode.FAILED_PRECONDITION, "LOG_REPLACED", client.LogReplaced),
        (grpc.StatusCode.FAILED_PRECONDITION, "LAGGING", client.Lagging),
        (grpc.StatusCode.FAILED_PRECONDITION, "COMMAND_NOT_PARKED", client.FailedPrecondition),
        (grpc.StatusCode.ABORTED, "COMMAND_CANCELLED", client.CommandCancelled),
        (grpc.StatusCode.INTERNAL, "COMMAND_PARKED", client.CommandParked),
        (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN", client.Unavailable),
        (grpc.StatusCode.UNKNOWN, "LOG_REPLACED", client.LogReplaced),
        (grpc.StatusCode.ABORTED, "OF_A_NEWER_SERVER", client.Aborted),
    ],
)
def test_reason_first_then_code(code: grpc.StatusCode, reason: str, expected: type[client.CombyError]) -> None:
    error = _status.from_status(status(code, info(reason)), "r")
    assert expected is type(error)
    assert (code, reason, FACADE, "words", "r") == (
        error.code,
        error.reason,
        error.domain,
        error.message,
        error.request_id,
    )


@pytest.mark.parametrize(("code", "expected"), list(_status._BY_CODE.items()), ids=lambda value: str(value))
def test_code_without_a_reason(code: grpc.StatusCode, expected: type[client.CombyError]) -> None:
    error = _status.from_status(status(code), "")
    assert expected is type(error)
    assert error.reason == ""


def test_a_rule_of_a_domain_is_a_rejection() -> None:
    code = grpc.StatusCode.FAILED_PRECONDITION
    error = _status.from_status(status(code, info("LOG_REPLACED", "Order", status="PAID")), "")
    assert client.Rejected is type(error)
    assert (error.reason, error.domain, error.metadata) == ("LOG_REPLACED", "Order", {"status": "PAID"})


def test_a_version_conflict_tells_both_versions() -> None:
    details = info("VERSION_CONFLICT", aggregate_id="one", expected="3", actual="5")
    error = _status.from_status(status(grpc.StatusCode.ABORTED, details), "")
    assert isinstance(error, client.VersionConflict)
    assert (error.expected, error.actual) == (3, 5)


def test_violations_retry_delay_and_incident_are_read() -> None:
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="lines[0].quantity", description="must be at least 1")
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromMilliseconds(250)
    error = _status.from_status(status(grpc.StatusCode.INTERNAL, info("INTERNAL", incident="i7"), bad, retry), "")
    assert (client.Violation(field="lines[0].quantity", description="must be at least 1"),) == error.violations
    assert (error.retry_delay, error.incident) == (0.25, "i7")


def test_the_receipt_of_a_refused_command_is_read() -> None:
    receipt = command_pb2.CommandReceipt(request_id="r", stage=command_pb2.COMMAND_STAGE_REJECTED, aggregate_id="one")
    error = _status.from_status(status(grpc.StatusCode.FAILED_PRECONDITION, info("FULL", "Order"), receipt), "")
    assert error.receipt is not None
    assert (error.receipt.stage, error.receipt.aggregate_id, error.request_id) == (client.Stage.REJECTED, "one", "r")


def test_a_trailer_that_is_no_status_does_not_hide_the_error() -> None:
    trailers = grpc.aio.Metadata(("grpc-status-details-bin", b"\xff\xff\xff"))
    call = grpc.aio.AioRpcError(grpc.StatusCode.NOT_FOUND, grpc.aio.Metadata(), trailers, "gone")
    error = _status.from_call(call)
    assert (client.NotFound, "gone") == (type(error), error.message)


def test_the_error_reads_well() -> None:
    assert str(_status.from_status(status(grpc.StatusCode.ABORTED, info("LAGGING")), "")) == "LAGGING: words"
    assert str(_status.from_status(status(grpc.StatusCode.ABORTED), "")) == "ABORTED: words"
