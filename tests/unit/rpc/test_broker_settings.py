"""The broker's URL: what it may be, and what of it is shown."""

from pathlib import Path

import pytest

from comby.server.settings import BrokerUrl, SettingsRefused, load_settings, read_broker, shown_broker


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("nats://host", BrokerUrl(servers=("host:4222",), tls=False)),
        ("tls://host:1/", BrokerUrl(servers=("host:1",), tls=True)),
        ("nats://[::1]:4223", BrokerUrl(servers=("[::1]:4223",), tls=False)),
        ("nats://a,b:1, nats://c", BrokerUrl(servers=("a:4222", "b:1", "c:4222"), tls=False)),
        ("tls://u:p@a,b", BrokerUrl(servers=("a:4222", "b:4222"), tls=True, user="u", password="p")),
        ("nats://u%40x:p%2C@a", BrokerUrl(servers=("a:4222",), tls=False, user="u@x", password="p,")),
        ("nats://u:p@a,nats://u:p@b", BrokerUrl(servers=("a:4222", "b:4222"), tls=False, user="u", password="p")),
        ("nats://t0ken@a", BrokerUrl(servers=("a:4222",), tls=False, token="t0ken")),
    ],
)
def test_urls_that_can_be_used(url: str, read: BrokerUrl) -> None:
    assert read == read_broker(url)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "host",
            "http://host",
            "nats://",
            "nats://:4222",
            "nats://h:x",
            "nats://h:99999",
            "nats://h/path",
            "nats://h?x=1",
        ),
        *(
            "nats://a,tls://b",
            "nats://u:secret@a,nats://v:secret@b",
            "nats://a,,b",
            "redis://u:secret@a",
            "nats://u:secret@",
        ),
    ],
)
def test_urls_that_can_not(url: str) -> None:
    with pytest.raises(SettingsRefused) as error:
        load_settings({"broker": url})
    assert "broker" in str(error.value)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_nothing_secret_is_shown() -> None:
    assert "nats://a:4222,b:1" == shown_broker("nats://ada:secret@a,b:1")
    assert "tls://a:4222" == shown_broker("tls://secret@a")


def test_what_does_not_go_together(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for given, told in (
        ({"broker_nkey": file}, "need broker"),
        ({"broker": "nats://a", "broker_nkey": file, "broker_credentials": file}, "not both"),
        ({"broker": "nats://a", "broker_certificate": file}, "go together"),
        ({"broker": "nats://a", "broker_ca": tmp_path / "none"}, "is not a file"),
        ({"broker": "nats://a", "broker_name": "a.b"}, "broker_name"),
        ({"broker": "nats://a", "stream_max_age": 0.5}, "stream_max_age"),
        ({"broker": "nats://a", "stream_max_bytes": -1}, "stream_max_bytes"),
        ({"broker": "nats://a", "stream_replicas": 6}, "stream_replicas"),
    ):
        with pytest.raises(SettingsRefused, match=told):
            load_settings(given)
