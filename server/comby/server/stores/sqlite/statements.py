"""The SQL of this adapter: one file for each statement, loaded by name when the store is opened."""

from pathlib import Path

ROOT = Path(__file__).parent / "sql"


def statement(name: str) -> str:
    """Return the statement of `sql/<name>.sql`."""
    return (ROOT / f"{name}.sql").read_text(encoding="utf-8")


def folder(name: str) -> list[tuple[str, str]]:
    """Return the files of `sql/<name>/` and their SQL, in the order of their names."""
    found = [file for file in (ROOT / name).iterdir() if file.name.endswith(".sql")]
    return sorted((file.name.removesuffix(".sql"), file.read_text(encoding="utf-8")) for file in found)


class Statements(dict[str, str]):
    """All statements that are no migration, by name."""

    def __init__(self) -> None:
        super().__init__(
            (file.name.removesuffix(".sql"), file.read_text(encoding="utf-8"))
            for file in ROOT.iterdir()
            if file.name.endswith(".sql")
        )
