"""Lay out a new project from the templates in templates/project.

A template's path and text are Jinja templates over the names of the project, so `NAME` in a path is the package.
"""

import keyword
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import jinja2

PACKAGE_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z][a-z0-9]*)*")
SUFFIX = ".jinja"
TAKEN = frozenset({"comby", "google", "grpc", "buf", "tests", "protos"})  # packages that stand beside the new one


class NotPossible(Exception):
    """The project can not be laid out; the text says why, and what to do."""


def lay_out(name: str, folder: Path) -> None:
    """Write a project of the package `name` into a new or empty folder; nothing is generated yet."""
    if not PACKAGE_NAME.fullmatch(name) or keyword.iskeyword(name) or name in TAKEN:
        raise NotPossible(f"{name!r} can not be the package's name; use letters in lower case, digits and underscores")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise NotPossible(f"{folder} is not empty; name a new folder")
    names = {"name": name, "Name": "".join(part.capitalize() for part in name.split("_")), "NAME": name.upper()}
    _copy(files("comby.codegen") / "templates" / "project", folder, names)


def _copy(source: Traversable, target: Path, names: dict[str, str]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for entry in source.iterdir():
        path = target / entry.name.replace("NAME", names["name"]).removesuffix(SUFFIX)
        if entry.is_dir():
            _copy(entry, path, names)
        elif entry.name.endswith(SUFFIX):
            template = jinja2.Template(
                entry.read_text("utf-8"), keep_trailing_newline=True, undefined=jinja2.StrictUndefined
            )
            path.write_text(template.render(names), encoding="utf-8")
