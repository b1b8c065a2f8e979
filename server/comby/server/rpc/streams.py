"""Streams that the facade opens and this room closes."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TypeVar, cast

ItemT = TypeVar("ItemT")


def closing(iterator: AsyncIterator[ItemT]) -> aclosing[AsyncGenerator[ItemT, None]]:
    """Return a context that closes the stream when it is left, so that its end is not left to the garbage collector."""
    return aclosing(cast("AsyncGenerator[ItemT, None]", iterator))
