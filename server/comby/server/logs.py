"""Logs: one JSON object a line on standard error, also of what libraries log.

No payload, no metadata value and no text of an exception gets in: an exception is told by its type and where it was raised.
"""

import logging
import sys
import traceback
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

FRAMES = 8
"""How many of the innermost frames of an exception are logged."""


def configure_logs(level: str, file: TextIO | None = None) -> None:
    """Send everything that is logged to a file, standard error by default, from a level upwards."""
    number = logging.getLevelNamesMapping()[level.upper()]
    target = file or sys.stderr
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(file=target),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, _first_line],
            processors=[
                _without_text,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.root.handlers = [handler]
    logging.root.setLevel(max(number, logging.WARNING))


def _first_line(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Keep the first line of a library's message: asyncio writes the exception, text and all, on the second."""
    event["event"] = str(event["event"]).partition("\n")[0]
    return event


def _without_text(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Tell an exception by its type and place."""
    info = event.pop("exc_info", None)
    if isinstance(info, tuple) and info[1] is not None:
        frames = traceback.extract_tb(info[1].__traceback__)[-FRAMES:]
        event["error"] = type(info[1]).__qualname__
        event["where"] = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}:{frame.name}" for frame in frames]
    return event
