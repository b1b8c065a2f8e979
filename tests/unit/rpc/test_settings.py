"""Settings: one for every limit, from the environment, with flags that win."""

from dataclasses import fields

import pytest

from comby.server.application.limits import Limits
from comby.server.settings import Settings, SettingsRefused, load_settings, settings_table, shown_store


def test_every_limit_has_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for number, limit in enumerate(fields(Limits), 1):
        monkeypatch.setenv(f"COMBY_{limit.name.upper()}", str(number))
    expected = Limits(**{limit.name: number for number, limit in enumerate(fields(Limits), 1)})
    assert expected == Settings().limits


def test_flags_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMBY_LISTEN", "127.0.0.1:1")
    monkeypatch.setenv("COMBY_PENDING_CALLS", "7")
    settings = load_settings({"listen": "127.0.0.1:2", "store": None}, {"pending_calls": "8"})
    assert (settings.listen, settings.store, settings.limits.pending_calls) == ("127.0.0.1:2", "sqlite:///comby.db", 8)


def test_a_limit_must_be_above_zero() -> None:
    with pytest.raises(SettingsRefused, match="pending_calls"):
        load_settings({}, {"pending_calls": "0"})


def test_the_table_for_the_documentation_tells_every_setting() -> None:
    table = settings_table()
    names = [*(name for name in Settings.model_fields if name != "limits"), *(limit.name for limit in fields(Limits))]
    assert [f"`COMBY_{name.upper()}`" for name in names] == [
        row.split(" | ")[0].removeprefix("| ") for row in table.splitlines()[2:]
    ]
    assert all(row.split(" | ")[2] not in ("", "|") for row in table.splitlines()[2:])


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///comby.db", "sqlite:///comby.db"),
        ("postgresql://ada:secret@host/db", "postgresql://ada@host/db"),
        ("postgres://ada:secret@one:5432,two:5433/db?sslmode=require", "postgres://ada@one:5432,two:5433/db"),
        ("postgresql://host/db?password=secret", "postgresql://host/db"),
        ("postgresql:///db?host=/run/pg&user=ada&password=secret", "postgresql:///db"),
        ("postgresql://?password=secret", "postgresql://"),
        ("postgresql://ada:se/cret@host/db", "postgresql://…"),
        ("postgresql://ada:se?cret@host/db", "postgresql://…"),
        ("postgresql://ada:se@cret@host/db", "postgresql://…"),
        ("postgresql://host/db?password=se@cret", "postgresql://…"),
    ],
)
def test_no_password_is_shown(url: str, shown: str) -> None:
    assert shown_store(url) == shown
