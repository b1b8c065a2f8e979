"""Frames between a server and its writer's process: a length, and a tuple as `marshal` writes it.

Both ends are the same version of Python on one machine, and nobody else has an end of the socket.
"""

import marshal
from collections.abc import Iterator
from typing import Any, TypeAlias

Frame: TypeAlias = tuple[Any, ...]

LENGTH_BYTES = 4
CHUNK_BYTES = 1 << 20
"""How much is read from the socket at once."""


def framed(frame: Frame) -> bytes:
    """Return a tuple of tuples, texts, bytes and numbers as a frame."""
    body = marshal.dumps(frame)
    return len(body).to_bytes(LENGTH_BYTES, "little") + body


class FrameBuffer:
    """Bytes as they come from a socket, and the frames that are whole."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take bytes and yield every frame that they complete."""
        if self._rest:
            data = self._rest + data
        view = memoryview(data)
        start = 0
        while len(data) - start >= LENGTH_BYTES:
            end = start + LENGTH_BYTES + int.from_bytes(view[start : start + LENGTH_BYTES], "little")
            if end > len(data):
                break
            yield marshal.loads(view[start + LENGTH_BYTES : end])
            start = end
        self._rest = data[start:]
