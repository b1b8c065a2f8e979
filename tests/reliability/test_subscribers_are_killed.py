"""Row C1: subscribers are killed and resume, while events are written."""

import asyncio
import json
import random
from contextlib import AsyncExitStack, suppress
from itertools import cycle
from pathlib import Path

from comby.client import Comby, Stage, connect
from tests.reliability.conftest import Report, Serve, ServeMany
from tests.reliability.domain.v1.trial_client import TrialClient
from tests.reliability.domain.v1.trial_pb2 import Increment
from tests.reliability.event_log import EventLog, read_log
from tests.reliability.subscriber import Specification, handled
from tests.reliability.trial_server import end, run_tied

COUNTERS = 8
CATCH_UP_SECONDS = 30


class Subscribers:
    """A process of subscribers, which is killed and started again."""

    def __init__(self, targets: list[str], folder: Path, wanted: list[Specification], stack: AsyncExitStack) -> None:
        """With each start they go to the next target."""
        self._targets = cycle(targets)
        self._arguments = (str(folder), json.dumps(wanted))
        self._folder = folder
        self._stack = stack
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process; what ran before is killed."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
        self._process = await run_tied(
            "tests.reliability.subscriber", next(self._targets), *self._arguments, folder=self._folder, stderr=None
        )
        self._stack.push_async_callback(end, self._process)


async def test_c1_each_matching_event_is_handled_once_and_in_order(
    long: bool, serve: Serve, report: Report, seed: int, tmp_path: Path
) -> None:
    """On one server. Seen failing: the cursor moved to the head when a page is full, and not to the page's last event."""
    async with serve() as server:
        await _killed_and_resumed("C1", long, [server.target], report, seed, tmp_path)


async def test_c1_moved_from_one_instance_to_the_other(
    long: bool, serve_many: ServeMany, report: Report, seed: int, tmp_path: Path
) -> None:
    """On two instances, both of which write; a subscriber that is killed resumes on the other one."""
    async with serve_many(2) as servers:
        await _killed_and_resumed("C1 two instances", long, [one.target for one in servers], report, seed, tmp_path)


async def _killed_and_resumed(
    row: str, long: bool, targets: list[str], report: Report, seed: int, tmp_path: Path
) -> None:
    """Half of the subscribers want all events, half those of one counter."""
    processes, each, kills, wanted = (4, 5, 20, 50_000) if long else (2, 2, 3, 4_000)
    chance = random.Random(seed)
    async with AsyncExitStack() as stack:
        combies = [await stack.enter_async_context(connect(target)) for target in targets]
        comby = combies[0]
        trial = TrialClient(comby)
        counters = [(await trial.start_counter()).aggregate_id for _ in range(COUNTERS)]
        specifications = [
            Specification(name=f"subscriber-{number}", counter_id=chance.choice(counters) if number % 2 else "")
            for number in range(processes * each)
        ]
        groups = [
            Subscribers(_rotated(targets, number), tmp_path, specifications[number::processes], stack)
            for number in range(processes)
        ]
        for group in groups:
            await group.start()
        share, rest = divmod(wanted - COUNTERS, len(combies))
        writing = asyncio.gather(
            *(_write(one, counters, share + (rest if place == 0 else 0), chance) for place, one in enumerate(combies))
        )
        killed = 0
        for _ in range(kills):
            for group in groups:
                await asyncio.sleep(chance.uniform(0, 1.0 if long else 0.6))
                await group.start()
                killed += each
        during = not writing.done()
        await writing

        log = await _whole_log(comby, wanted)
        for one in specifications:
            await _handles(tmp_path / one["name"], _matching(log, one))
        report(
            row,
            events=wanted,
            subscribers=len(specifications),
            kills=killed,
            writing_until_the_last_kill=during,
            handled=sum(len(_matching(log, one)) for one in specifications),
            lost=0,
            doubled=0,
            disorder=0,
        )


async def _write(comby: Comby, counters: list[str], count: int, chance: random.Random) -> None:
    async with comby.pipeline(in_flight=200) as pipeline:
        for number in range(count):
            await pipeline.dispatch(Increment(counter_id=chance.choice(counters), sequence=number), wait=Stage.EXECUTED)
            if number % 50 == 0:
                await asyncio.sleep(0.02)


async def _whole_log(comby: Comby, wanted: int) -> EventLog:
    """Return the log once it has all that is written; a wait for a command ends before it is executed where that takes long."""
    count = -1
    while count < wanted:
        before = count
        async with asyncio.timeout(CATCH_UP_SECONDS):
            while (count := await _head(comby)) == before:
                await asyncio.sleep(0.05)
    log = await read_log(comby)
    log.assert_whole()
    assert wanted == len(log.events)
    return log


async def _head(comby: Comby) -> int:
    return sum([event.position async for event in comby.read_events(all_tenants=True, backwards=True, limit=1)])


def _matching(log: EventLog, wanted: Specification) -> list[int]:
    return [
        event.position for event in log.events if not wanted["counter_id"] or event.aggregate_id == wanted["counter_id"]
    ]


async def _handles(file: Path, expected: list[int]) -> None:
    """The subscriber comes to its end, and has handled what it should."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CATCH_UP_SECONDS):
            while handled(file)[-1:] != expected[-1:]:
                await asyncio.sleep(0.05)
    assert expected == handled(file)


def _rotated(targets: list[str], by: int) -> list[str]:
    return targets[by % len(targets) :] + targets[: by % len(targets)]
