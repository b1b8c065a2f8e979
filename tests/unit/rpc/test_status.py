"""Statuses: one table, bounded details."""

import pytest
from google.rpc import code_pb2, error_details_pb2

from comby.facade.v1 import error_pb2
from comby.server.application.errors import BusinessRule, FieldViolation, InvalidMessage, Overloaded, StoredError
from comby.server.domain.rejections import Rejected
from comby.server.rpc.status import CODES, status_of
from tests.unit.rpc.errors import detail, info


def test_every_reason_of_the_contract_has_the_code_that_its_comment_names() -> None:
    prefix = "ERROR_REASON_"
    reasons = {name.removeprefix(prefix) for name, _ in error_pb2.ErrorReason.items()} - {"UNSPECIFIED"}
    assert reasons == set(CODES)


def test_a_business_rule() -> None:
    status = status_of(BusinessRule("Order", Rejected("WRONG_AMOUNT", total_cents=7)))
    expected = error_details_pb2.ErrorInfo(reason="WRONG_AMOUNT", domain="Order", metadata={"total_cents": "7"})
    assert (code_pb2.FAILED_PRECONDITION, "wrong amount", expected) == (status.code, status.message, info(status))


def test_a_business_rule_that_is_named_as_one_of_ours() -> None:
    assert status_of(BusinessRule("Order", Rejected("INTERNAL"))).code == code_pb2.FAILED_PRECONDITION


def test_a_stored_error_equals_the_first_one() -> None:
    first = BusinessRule("Order", Rejected("WRONG_AMOUNT", total_cents=7))
    assert status_of(first) == status_of(StoredError(first.reason, first.domain, first.metadata))


def test_violations_and_delays() -> None:
    status = status_of(InvalidMessage("a.B", [FieldViolation("lines[0].sku", "string.uuid", "must be a UUID")]))
    told = detail(status, error_details_pb2.BadRequest)
    violation = error_details_pb2.BadRequest.FieldViolation(
        field="lines[0].sku", reason="string.uuid", description="must be a UUID"
    )
    assert error_details_pb2.BadRequest(field_violations=[violation]) == told
    delay = detail(status_of(Overloaded("pending_calls", 1)), error_details_pb2.RetryInfo)
    assert isinstance(delay, error_details_pb2.RetryInfo)
    assert delay.retry_delay.nanos == 250_000_000


@pytest.mark.parametrize("text", ["ä" * 10_000, "\ud800" * 1000, "x" * 100_000])
def test_details_fit_into_a_header(text: str) -> None:
    rejected = BusinessRule("Order", Rejected("R", **{f"key{n}": text for n in range(100)}))
    broken = InvalidMessage("a.B", [FieldViolation(text, text, text) for _ in range(20)])
    assert all(status_of(error).ByteSize() < 5000 for error in (rejected, broken))
