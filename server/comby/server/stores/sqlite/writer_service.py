"""The writer in a process of its own: requests come from a socket, and whatever has come becomes the next transaction.

The process ends when the other end of the socket does, whatever is still unread then: nobody waits for it.
"""

import contextlib
import gc
import logging
import select
import signal
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from comby.server.stores.sqlite.failures import described, translated
from comby.server.stores.sqlite.frames import CHUNK_BYTES, Frame, FrameBuffer, framed
from comby.server.stores.sqlite.opening import Opened, open_for_writing
from comby.server.stores.sqlite.parent import die_with_parent
from comby.server.stores.sqlite.wire_verdicts import pack_verdict
from comby.server.stores.sqlite.wire_writes import unpack_write
from comby.server.stores.sqlite.writer import Writer

MERGED_WRITES = 1024
"""Requests in one transaction: a batch that would go above it waits for the next one."""
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What a terminal or an init system sends to all processes of a server: the server drains first, and then closes this one."""


class Gone(Exception):
    """The server has ended."""


class Channel:
    """The socket to the server: frames in, frames out."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = FrameBuffer()
        self._hung_up = select.poll()
        self._hung_up.register(connection, 0)

    def receive(self) -> list[Frame]:
        """Wait for frames, and return all that have come. Raises Gone."""
        frames: list[Frame] = []
        while not frames:
            try:
                data = self._connection.recv(CHUNK_BYTES)
            except OSError:
                raise Gone from None
            if not data or self._hung_up.poll(0):
                raise Gone
            frames.extend(self._buffer.feed(data))
        return frames

    def send(self, *frames: Frame) -> None:
        """Send frames. Raises Gone."""
        try:
            self._connection.sendall(b"".join([framed(frame) for frame in frames]))
        except OSError:
            raise Gone from None


class LogForwarder(logging.Handler):
    """Has the server log what is logged here."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record."""
        with contextlib.suppress(Gone):
            self._channel.send((0, "log", record.name, record.levelno, record.getMessage()))


def serve(path: Path, *, durable: bool, descriptor: int, parent: int) -> None:
    """Open a file for writing and serve its writer on a socket until that is closed."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    die_with_parent(parent)
    channel = Channel(socket.socket(fileno=descriptor))
    logging.root.handlers = [LogForwarder(channel)]
    with contextlib.suppress(Gone):
        try:
            opened = open_for_writing(path, durable=durable)
        except Exception as error:
            channel.send((0, "refused", *described(translated(error))))
            return
        _tune()
        _serve(channel, opened)


def _tune() -> None:
    """Have the collector come less often: nothing here makes cycles, and what was imported lives for ever."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _serve(channel: Channel, opened: Opened) -> None:
    writer, identity = opened.writer, opened.identity
    channel.send((0, "open", identity.log_id, identity.incarnation, opened.unclean, writer.batch, writer.head))
    while True:
        for group in _grouped(channel.receive()):
            kind = group[0][1]
            if kind == "close":
                writer.close()
                channel.send((group[0][0], "done", 0, None))
                return
            channel.send(*(_commit(writer, group) if kind == "commit" else [_one(writer, group[0])]))


def _grouped(frames: Sequence[Frame]) -> Iterator[Sequence[Frame]]:
    """Put neighbouring batches together, which are written in one transaction."""
    group: list[Frame] = []
    size = 0
    for frame in frames:
        joins = frame[1] == "commit" and size + len(frame[2]) <= MERGED_WRITES
        if group and not (joins and group[0][1] == "commit"):
            yield group
            group, size = [], 0
        group.append(frame)
        size += len(frame[2]) if frame[1] == "commit" else 0
    yield group


def _commit(writer: Writer, group: Sequence[Frame]) -> list[Frame]:
    """Write batches in one transaction, which has the number of the last of them."""
    writes = [unpack_write(packed) for _, _, batch in group for packed in batch]
    try:
        verdicts = iter(writer.commit(writes, group[-1][0]))
    except ValueError as error:
        if len(group) == 1:
            return [(group[0][0], "failed", writer.head, described(error))]
        return [answer for frame in group for answer in _commit(writer, [frame])]
    except Exception as error:
        failure = described(translated(error))
        return [(number, "failed", writer.head, failure) for number, _, _ in group]
    return [(number, "done", writer.head, [pack_verdict(next(verdicts)) for _ in batch]) for number, _, batch in group]


def _one(writer: Writer, frame: Frame) -> Frame:
    number, kind, values = frame
    try:
        match kind:
            case "upkeep":
                return (number, "done", writer.head, writer.upkeep(*values))
            case "drop_rows":
                return (number, "done", writer.head, writer.drop_rows(*values))
            case "recover":
                verdicts = writer.recover([unpack_write(packed) for packed in values])
                return (number, "done", writer.head, [pack_verdict(verdict) for verdict in verdicts])
            case _:
                raise AssertionError(kind)
    except Exception as error:
        return (number, "failed", writer.head, described(translated(error)))
