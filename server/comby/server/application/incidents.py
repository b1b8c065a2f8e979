"""Incidents: unexpected errors, logged once under an id that a caller may be told.

The text of an exception may hold a payload, a path or a secret, so the log gets its type and where it was raised, and
never its text.
"""

import traceback
from uuid import uuid4

import structlog

_log = structlog.get_logger("comby.incident")
FRAMES = 8
"""How many of the innermost frames are logged."""


def report(event: str, error: BaseException, **fields: str | int) -> str:
    """Log an unexpected error and return its incident id."""
    incident = uuid4().hex
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    where = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}:{frame.name}" for frame in frames]
    _log.error(event, incident=incident, error=type(error).__qualname__, where=where, **fields)
    return incident
