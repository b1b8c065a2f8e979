"""Metadata: every key known, given once and well formed."""

import pytest

from comby.server.application.requests import Stage
from comby.server.rpc.errors import InvalidMetadata
from comby.server.rpc.metadata import CallMetadata, Keys, parse_time, read_metadata

ID = "0190a6b0-0000-7000-8000-000000000001"


def test_everything_that_a_command_takes() -> None:
    pairs = [
        ("user-agent", "grpc"),
        ("authorization", "Bearer secret"),
        ("comby-tenant-id", "acme-1"),
        ("comby-request-id", ID),
        ("comby-wait", "projected"),
        ("comby-wait-timeout", "2.5s"),
        ("comby-expected-version", "0"),
        ("comby-not-before", "2030-01-02T03:04:05.123456789+01:00"),
        ("comby-correlation-id", "order 7"),
        ("comby-causation-id", "cause"),
        ("comby-retry", "true"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ]
    expected = CallMetadata(
        tenant_id="acme-1",
        request_id=ID,
        wait=Stage.PROJECTED,
        wait_timeout=2.5,
        expected_version=0,
        not_before=1_893_549_845_123_456,
        correlation_id="order 7",
        causation_id="cause",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        retried=True,
        command_key="comby-not-before",
    )
    assert expected == read_metadata(pairs, Keys.COMMAND)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("comby-unknown", "x"),
        ("comby-unknown-bin", b"\xff\x00"),
        ("comby-tenant-id", ""),
        ("comby-tenant-id", "Acme"),
        ("comby-tenant-id", "-acme"),
        ("comby-tenant-id", "a" * 64),
        ("comby-tenant-id", "acme\n"),
        ("comby-request-id", "7"),
        ("comby-request-id", ID + "0"),
        ("comby-wait", "parked"),
        ("comby-wait", "EXECUTED"),
        ("comby-wait-timeout", "5"),
        ("comby-wait-timeout", "-5s"),
        ("comby-wait-timeout", "\u0661s"),
        ("comby-expected-version", "-1"),
        ("comby-expected-version", "9223372036854775808"),
        ("comby-not-before", "tomorrow"),
        ("comby-not-before", "2030-01-02T03:04:05"),
        ("comby-not-before", "2030-13-02T03:04:05Z"),
        ("comby-not-before", "0001-01-01T00:00:00+23:00"),
        ("comby-correlation-id", "a" * 129),
        ("comby-correlation-id", "ä"),
        ("comby-retry", "yes"),
        ("comby-consistency-token", "t"),
    ],
)
def test_a_wrong_key_is_named_and_its_value_never(key: str, value: str | bytes) -> None:
    with pytest.raises(InvalidMetadata) as caught:
        read_metadata([(key, value)], Keys.COMMAND)
    assert {"key": key} == caught.value.metadata


def test_a_doubled_key() -> None:
    with pytest.raises(InvalidMetadata) as caught:
        read_metadata([("comby-tenant-id", "a"), ("comby-tenant-id", "a")], Keys.COMMON)
    assert caught.value.metadata == {"key": "comby-tenant-id"}


@pytest.mark.parametrize("keys", [Keys.QUERY, Keys.COMMON])
def test_the_keys_of_commands_mean_nothing_elsewhere(keys: Keys) -> None:
    with pytest.raises(InvalidMetadata):
        read_metadata([("comby-expected-version", "1")], keys)


def test_what_is_not_ours_is_never_refused() -> None:
    pairs = [("traceparent", "nonsense"), ("traceparent", "x"), ("combyish", "x"), ("grpc-previous-rpc-attempts", "1")]
    assert CallMetadata(retried=True) == read_metadata(pairs, Keys.COMMON)


def test_a_time_before_1970() -> None:
    assert parse_time("1969-12-31T23:59:59Z") == -1_000_000
