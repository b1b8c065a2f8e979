"""Logs: one JSON object a line, without the text of any exception."""

import asyncio
import io
import json
import logging

import pytest
import structlog

from comby.server.application.incidents import report
from comby.server.logs import configure_logs

SECRET = "hunter2"


@pytest.fixture
def lines() -> io.StringIO:
    """Where the logs go."""
    return io.StringIO()


def test_every_line_is_one_object(lines: io.StringIO) -> None:
    configure_logs("info", lines)
    structlog.get_logger("comby.access").info("call refused", method="/a.B/C", code="NOT_FOUND")
    structlog.get_logger("comby.access").debug("never")
    logging.getLogger("grpc").error("a\nb %s", "c")
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [line["event"] for line in told] == ["call refused", "a"]
    assert all(line["timestamp"].endswith("Z") and line["level"] in ("info", "error") for line in told)


async def test_no_text_of_an_exception(lines: io.StringIO) -> None:
    configure_logs("debug", lines)
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        report("call failed", error)
        logging.getLogger("library").exception("it failed")

    async def fail() -> None:
        raise ValueError(SECRET)

    task = asyncio.ensure_future(fail())
    await asyncio.sleep(0)
    del task
    asyncio.get_running_loop().call_exception_handler({"message": "lost", "exception": ValueError(SECRET)})
    assert SECRET not in lines.getvalue()
    assert "ValueError" in lines.getvalue()
