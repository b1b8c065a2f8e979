"""How options become metadata."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from comby.client import Stage
from comby.client._metadata import Ambient, Options, rfc3339, seconds


@pytest.mark.parametrize(
    ("value", "expected"),
    [(2.5, "2.5s"), (10, "10s"), (0, "0s"), (0.001, "0.001s"), (1.23456, "1.235s"), (100.0, "100s")],
)
def test_seconds(value: float, expected: str) -> None:
    assert expected == seconds(value)


def test_a_negative_time_out_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        seconds(-1)


def test_rfc3339_is_in_utc() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    assert rfc3339(moment) == "2026-01-02T01:04:05Z"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no zone"):
        rfc3339(datetime(2026, 1, 2))  # noqa: DTZ001  # what is refused


def test_the_options_of_a_command() -> None:
    options = Options(
        request_id="r",
        wait=Stage.PROJECTED,
        wait_timeout=2.5,
        expected_version=0,
        not_before=datetime(2026, 1, 2, tzinfo=UTC),
    )
    assert list(options.metadata()) == [
        ("comby-request-id", "r"),
        ("comby-wait", "projected"),
        ("comby-wait-timeout", "2.5s"),
        ("comby-expected-version", "0"),
        ("comby-not-before", "2026-01-02T00:00:00Z"),
    ]


def test_options_that_are_not_given_are_not_sent() -> None:
    assert list(Options(request_id="r", wait="executed").metadata()) == [
        ("comby-request-id", "r"),
        ("comby-wait", "executed"),
    ]


def test_what_every_call_carries() -> None:
    ambient = Ambient(token="secret", tenant_id="a", traceparent="00-1-2-01", correlation_id="c", causation_id="d")
    assert list(ambient.metadata("b")) == [
        ("authorization", "Bearer secret"),
        ("comby-tenant-id", "b"),
        ("traceparent", "00-1-2-01"),
    ]
    assert list(ambient.causes()) == [("comby-correlation-id", "c"), ("comby-causation-id", "d")]
    assert list(Ambient().metadata()) == []
