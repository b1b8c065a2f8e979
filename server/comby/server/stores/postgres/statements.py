"""The SQL of this adapter: one file for each statement, loaded by name when the store is opened."""

from importlib.resources import files
from importlib.resources.abc import Traversable

ROOT = files("comby.server.stores.postgres") / "sql"


def statement(name: str) -> str:
    """Return the statement of `sql/<name>.sql`."""
    return (ROOT / f"{name}.sql").read_text(encoding="utf-8")


def migrations() -> list[tuple[int, str]]:
    """Return the numbered files of `sql/migrations/`, in their order."""
    found: list[Traversable] = [file for file in (ROOT / "migrations").iterdir() if file.name.endswith(".sql")]
    return sorted((int(file.name.partition("_")[0]), file.read_text(encoding="utf-8")) for file in found)


class Statements(dict[str, str]):
    """All statements that are no migration, by name."""

    def __init__(self) -> None:
        super().__init__(
            (file.name.removesuffix(".sql"), file.read_text(encoding="utf-8"))
            for file in ROOT.iterdir()
            if file.name.endswith(".sql")
        )
