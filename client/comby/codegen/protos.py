"""The .proto files of comby, as they lie in the installed wheel comby-api."""

import importlib.resources
from importlib.resources.abc import Traversable
from pathlib import Path

PACKAGE = "comby.protos"


def export(folder: Path) -> list[Path]:
    """Copy comby's .proto files, and those they import, below `folder`; return the files written, sorted."""
    return sorted(_copy(importlib.resources.files(PACKAGE), folder))


def _copy(source: Traversable, target: Path) -> list[Path]:
    written: list[Path] = []
    for entry in source.iterdir():
        if entry.is_dir():
            written += _copy(entry, target / entry.name)
        elif entry.name.endswith(".proto"):
            target.mkdir(parents=True, exist_ok=True)
            path = target / entry.name
            path.write_bytes(entry.read_bytes())
            written.append(path)
    return written
