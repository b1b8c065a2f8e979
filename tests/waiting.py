"""Waiting for what becomes true by itself."""

import asyncio
from collections.abc import Callable

SOON = 30.0


async def until(what: str, true: Callable[[], bool]) -> None:
    """Wait until something is true."""
    try:
        async with asyncio.timeout(SOON):
            while not true():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"it never was so: {what}") from None
