"""The writer's process may die at any moment, and so may its server: what was answered is there once, and the store goes on."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import apsw
import psutil
import pytest

from comby.server.domain.identity import CommandKey, Position
from comby.server.ports.checkpoint_store import AdvanceConsumer, Advanced, Consumer
from comby.server.ports.command_store import CommandStatus, NewCommand
from comby.server.ports.errors import StoreUnavailable
from comby.server.ports.event_store import (
    AcceptCommand,
    CommandKnown,
    CommandNotOpen,
    CommandStarted,
    Committed,
    EventFilter,
    FinishCommand,
    StartCommand,
    VersionConflict,
    Write,
)
from comby.server.ports.store import Store
from comby.server.stores.sqlite import open_sqlite
from comby.server.stores.sqlite.process import WriterProcess
from tests.unit.stores.store_requests import append

CHILD = Path(__file__).with_name("crashing_child.py")
SEED = 20261125
KILLS = 8
GONE_SECONDS = 10.0


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with open_sqlite(url) as opened:
        yield opened


def writer() -> psutil.Process:
    """Return the writer's process of the one store that is open here."""
    (found,) = (one for one in psutil.Process().children() if "writer_process.py" in " ".join(one.cmdline()))
    return found


async def count_events(store: Store) -> int:
    page = await store.events.read(after=Position(0), filter=EventFilter(), limit=100_000, max_bytes=1 << 30)
    assert [event.position for event in page.events] == list(range(1, len(page.events) + 1))
    return len(page.events)


async def test_a_writer_that_is_killed_under_load_loses_nothing_and_doubles_nothing(store: Store) -> None:
    """Seen failing: every fifth transaction rolled back before it was answered, and what was in flight refused."""
    chance = random.Random(SEED)
    acknowledged: list[FinishCommand] = []
    known = 0
    done = False

    async def commit_for_ever(name: str) -> None:
        nonlocal known
        version = 0
        while not done:
            write = append(name, after=version)
            (verdict,) = await store.events.commit([write])
            assert isinstance(verdict, (Committed, CommandKnown)), verdict
            if isinstance(verdict, CommandKnown):  # stored; its answer was lost
                assert verdict.stored.key == write.command.key  # type: ignore[union-attr]
                known += 1
            acknowledged.append(write)
            version += 1

    async with asyncio.TaskGroup() as group:
        for number in range(16):
            group.create_task(commit_for_ever(f"o-{number}"))
        for _ in range(KILLS):
            before = len(acknowledged)
            while len(acknowledged) < before + 32:
                await asyncio.sleep(0.01)
            await asyncio.sleep(chance.random() * 0.02)  # the moment of death, anywhere in a commit
            writer().kill()
        done = True
    stored = await store.commands.get_many([write.command.key for write in acknowledged])  # type: ignore[union-attr]
    assert len(stored) == len(acknowledged)
    assert await count_events(store) == len(acknowledged) == await store.events.head()
    print(f"seed {SEED}: {KILLS} kills, {len(acknowledged)} commands, {known} of them told as known")


async def test_a_batch_whose_answer_is_lost_with_its_writer_is_told_as_what_is_stored(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen failing: with every batch sent again, also one that is stored: the attempt counted twice, the checkpoint moved."""
    key = CommandKey("acme", str(uuid.uuid4()))
    accepted = append("o-1")
    assert isinstance(accepted.command, NewCommand)
    consumer = Consumer(name="c", generation=1, version=1, live=True, position=Position(0), since=Position(0))
    await store.checkpoints.create(consumer)
    await store.events.commit([AcceptCommand(command=accepted.command)])
    batch: list[Write] = [
        append("o-2"),
        append("o-2"),
        StartCommand(key=accepted.command.key),
        StartCommand(key=key),
        AdvanceConsumer(name="c", generation=1, before=Position(0), after=Position(1)),
        append("o-3"),
    ]
    deaf_to(writer(), monkeypatch)
    waiting = asyncio.ensure_future(store.events.commit(batch))
    await stored_events(url, 2)
    writer().kill()
    first, second, started, missing, advanced, third = await waiting
    assert isinstance(first, CommandKnown)
    assert first.stored.status is CommandStatus.EXECUTED
    assert first.stored.position == 1
    assert isinstance(second, VersionConflict)
    assert CommandStarted(1) == started
    assert CommandNotOpen(None) == missing
    assert Advanced() == advanced
    assert isinstance(third, CommandKnown)
    assert await store.events.head() == 2
    assert isinstance((await store.events.commit([append("o-2", after=1)]))[0], Committed)


def deaf_to(process: psutil.Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing heard that a writer's process says from now on."""
    hear = WriterProcess.data_received
    monkeypatch.setattr(
        WriterProcess, "data_received", lambda self, data: None if self.pid == process.pid else hear(self, data)
    )


async def stored_events(url: str, count: int) -> None:
    """Wait until so many events are on disk."""
    with closing(apsw.Connection(url.removeprefix("sqlite:///"), flags=apsw.SQLITE_OPEN_READONLY)) as reader:
        while reader.execute("select count(*) from events").get < count:
            await asyncio.sleep(0.01)


async def test_a_batch_under_which_the_writer_dies_again_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen failing: with such a batch sent for ever."""
    send = WriterProcess.send
    with monkeypatch.context() as patched:

        def kill_first(self: WriterProcess, frame: bytes) -> None:
            os.kill(self.pid, signal.SIGKILL)
            send(self, frame)

        patched.setattr(WriterProcess, "send", kill_first)
        with pytest.raises(StoreUnavailable):
            await store.events.commit([append("o-1")])
    await store.events.commit([append("o-2")])
    assert await count_events(store) == 1


async def test_what_a_terminal_sends_does_not_reach_the_writer(store: Store) -> None:
    """Seen failing: with the signals not ignored, and in the server's own session."""
    process = writer()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process.send_signal(number)
    await store.events.commit([append("o-1")])
    assert process.pid == writer().pid
    assert os.getsid(process.pid) == process.pid


async def test_the_writer_holds_the_lock_of_the_file_too(store: Store, url: str) -> None:
    """Seen failing: with the lock not passed on."""
    open_files = [os.readlink(entry) for entry in Path(f"/proc/{writer().pid}/fd").iterdir()]
    assert f"{url.removeprefix('sqlite:///')}.lock" in open_files


def test_a_server_that_is_killed_takes_its_writer_along_and_a_new_one_serves_at_once(tmp_path: Path, url: str) -> None:
    """Seen failing: the lock of the dying writer not waited for (StoreInUse)."""
    for number in range(3):
        child = subprocess.Popen([sys.executable, str(CHILD), url, str(number)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        assert child.stdout.readline()
        (process,) = psutil.Process(child.pid).children()
        child.kill()
        child.wait()
        child.stdout.close()
        asyncio.run(_serves(url))
        process.wait(GONE_SECONDS)


async def _serves(url: str) -> None:
    async with open_sqlite(url) as store:
        assert store.events.unclean
        assert isinstance((await store.events.commit([append(f"p-{random.random()}")]))[0], Committed)
