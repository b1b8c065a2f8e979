"""The domain of the reliability tests, written as a user writes one. Handlers that misbehave note each start in a file.

Unlike a real handler these have effects outside their aggregate: how often one was begun can be known in no other way.
The code of the contract is made by `comby generate tests/reliability/domain/protos --out .`, in the root of the repository.
"""

import asyncio
import os
from pathlib import Path

from comby.server import (
    Aggregate,
    CommandContext,
    CommandHandlers,
    Facade,
    Projection,
    Recorded,
    Rows,
    applies,
    handles,
    projects,
)
from tests.reliability.domain.v1.trial_pb2 import (
    MANNER_CLING,
    MANNER_EXIT,
    MANNER_LOOP,
    MANNER_RAISE,
    MANNER_UNSPECIFIED,
    Behaved,
    Counter,
    CounterStarted,
    Dawdle,
    Increment,
    Incremented,
    Manner,
    Misbehave,
    StartCounter,
)

FOLDER = "TRIAL_FOLDER"
"""Names the folder in which starts are noted, in the environment."""
HEALED = "healed"
"""The file beside them that ends all misbehaviour."""
EXIT_CODE = 7


class CounterAggregate(Aggregate[Counter]):
    """A counter."""

    @handles(StartCounter)
    def start(self, command: StartCounter) -> None:
        self.record(CounterStarted())

    @handles(Increment)
    def increment(self, command: Increment) -> None:
        self.record(Incremented(sequence=command.sequence, ballast=command.ballast))

    @handles(Misbehave)
    def misbehave(self, command: Misbehave) -> None:
        folder = Path(os.environ[FOLDER])
        _note(folder / self.id)
        _behave(MANNER_UNSPECIFIED if (folder / HEALED).exists() else command.manner)
        self.record(Behaved())

    def add(self) -> None:
        """Add 1."""
        self.record(Incremented())

    @applies(CounterStarted)
    def started(self, event: CounterStarted) -> None:
        self.state.value = 0

    @applies(Incremented)
    def incremented(self, event: Incremented) -> None:
        self.state.value += 1

    @applies(Behaved)
    def behaved(self, event: Behaved) -> None:
        self.state.value += 0


class Dawdling(CommandHandlers):
    """Handlers that take their time."""

    @handles(Dawdle)
    async def dawdle(self, command: Dawdle, context: CommandContext) -> None:
        counter = await context.load(CounterAggregate, command.counter_id)
        await asyncio.sleep(command.milliseconds / 1000)
        counter.add()


class Tally(Projection[Counter]):
    """How often each counter was incremented, counted once more from its events."""

    name = "tally"

    @projects(Incremented)
    async def incremented(self, recorded: Recorded[Incremented], rows: Rows[Counter]) -> None:
        row = await rows.get(recorded.aggregate_id) or Counter()
        row.value += 1
        rows.put(recorded.aggregate_id, row)


def app(facade: Facade) -> None:
    """Register the domain."""
    facade.register(CounterAggregate, Dawdling)


def app_with_tally(facade: Facade) -> None:
    """Register the domain, and its projection."""
    facade.register(CounterAggregate, Dawdling, Tally)


def _note(file: Path) -> None:
    with file.open("a", encoding="utf-8") as notes:
        notes.write(f"{os.getpid()}\n")
        notes.flush()
        os.fsync(notes.fileno())


def _behave(manner: Manner.ValueType) -> None:
    if manner == MANNER_RAISE:
        raise RuntimeError("as it was told")
    if manner == MANNER_EXIT:
        os._exit(EXIT_CODE)
    while manner == MANNER_LOOP:
        pass
    while manner == MANNER_CLING:
        _linger()


def _linger() -> None:
    try:
        while True:
            pass
    except BaseException:
        return
