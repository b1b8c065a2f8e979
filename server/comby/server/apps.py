"""Finds the app that is to be served: a function that registers everything on a facade."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias, cast

from comby.server.application.facade import Facade

App: TypeAlias = Callable[[Facade], None]


class AppNotFound(Exception):
    """The app can not be imported; the text tells why, in one line."""


def load_app(reference: str) -> App:
    """Import an app by "package.module:function", from the current directory too. Raises AppNotFound."""
    name, colon, attribute = reference.partition(":")
    if not (name and colon and attribute):
        raise AppNotFound(f"{reference!r} is no app: write it as package.module:function")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(name)
    except Exception as error:
        raise AppNotFound(f"{name} can not be imported: {type(error).__name__}: {error}") from error
    app = getattr(module, attribute, None)
    if not callable(app):
        raise AppNotFound(f"{name} has no function {attribute}")
    return cast(App, app)
