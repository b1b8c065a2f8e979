"""Batches of nothing but new commands go a shorter way into the database: it has to leave and to answer what the long one does."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from comby.server.domain.identity import AggregateKey, CommandKey, Version
from comby.server.ports.command_store import CommandStatus
from comby.server.ports.event_store import (
    AcceptCommand,
    Behind,
    CommandKnown,
    Committed,
    Fence,
    Fenced,
    FinishCommand,
    NewEvent,
    Verdict,
    VersionCheck,
    VersionConflict,
    Write,
)
from comby.server.ports.read_model_store import PutRow
from comby.server.stores.postgres import open_postgres, writer
from comby.server.stores.postgres.connection import Connection, connect
from comby.server.stores.postgres.literals import records
from comby.server.stores.postgres.store import PostgresStore
from tests.contract.making import LATE, check, command, event, finish, order
from tests.contract.store_model import Answer, comparable
from tests.postgres_databases import databases

ODD = [
    'a "quoted" one',
    "back\\slash",
    "a,b (c) {d}",
    " ",
    "nul\x00 and \x01",
    "\x01",
    "é\U0001f600",
    "null",
    "'",
    "%s",
]
"""Texts that mean something to one of those who read them on their way."""
TABLES = {
    "events": "position",
    "aggregates": "tenant_id, domain, aggregate_id",
    "commands": "tenant_id, request_id",
    "rows": "model, tenant_id, key",
    "row_entries": "model, tenant_id, entry, key",
    "stamps": "model, stamp",
}
TIMES = {"recorded_at", "accepted_at", "finished_at", "element"}
"""What differs with the time; an event's element holds it."""
LAST = "select coalesce(max(number), 0) from comby.batches where verdicts = '{}'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two stores that get the same batches: `new` may go the short way, and `any` never does."""

    new: PostgresStore
    any: PostgresStore
    beside: list[Connection]
    """To look into both with."""
    monkeypatch: pytest.MonkeyPatch

    async def commit(self, batch: Sequence[Write]) -> list[Answer]:
        """Commit to both, compare what they answer, and return it without its times."""
        answered = _timeless(await self.new.events.commit(batch))
        with self.monkeypatch.context() as patch:
            patch.setattr(writer, "new_commands", lambda writes, noted: None)
            assert _timeless(await self.any.events.commit(batch)) == answered
        return answered

    async def last(self) -> int:
        """Return the number of the last batch that went the short way."""
        return int(await self.beside[0].fetchval(LAST))

    async def compare(self) -> None:
        """Compare all that is stored."""
        for table, order_by in TABLES.items():
            one, other = [await _rows(connection, table, order_by) for connection in self.beside]
            assert one == other, table


async def _rows(connection: Connection, table: str, order_by: str) -> list[dict[str, Any]]:
    rows = await connection.fetch(f"select * from comby.{table} order by {order_by}")
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]


def _timeless(verdicts: Sequence[Verdict]) -> list[Answer]:
    return [comparable(verdict, numbered=True) for verdict in verdicts]


@pytest.fixture
async def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    """Two empty stores that know the stamp of the rows, and of which an instance owns all partitions, in epoch 1."""
    async with AsyncExitStack() as stack:
        stores: list[PostgresStore] = []
        beside: list[Connection] = []
        for name in ("new", "any"):
            (tmp_path / name).mkdir()
            url = databases().url(tmp_path / name)
            store = await stack.enter_async_context(open_postgres(url))
            beside.append(await connect(url))
            stack.push_async_callback(beside[-1].close)
            assert store.instances is not None
            await store.instances.join("i", name="i", address="", eligible=True, version="", partitions=128, duties=())
            await store.instances.take("i", range(128), lease=60)
            first = PutRow(model="Order", tenant_id="first", key="first", row=b"", fields={"a": "b"}, stamp="1")
            [verdict] = await store.events.commit([finish(command("first"), states=[first])])
            assert isinstance(verdict, Committed)
            stores.append(store)
        yield Pair(new=stores[0], any=stores[1], beside=beside, monkeypatch=monkeypatch)


def row(key: AggregateKey, version: int, **fields: str) -> PutRow:
    return PutRow(
        model="Order",
        tenant_id=key.tenant_id,
        key=key.aggregate_id,
        row=f"{key} at {version}".encode(),
        fields=fields,
        stamp="1",
        version=Version(version),
    )


def place(key: AggregateKey, before: int = 0, events: int = 1, **fields: str) -> FinishCommand:
    """End a new command with events of one aggregate, and its row."""
    after = before + events
    return finish(
        command(aggregate=key),
        checks=[check(key, before)],
        events=[event(key, version, record=b"\x00" * version) for version in range(before + 1, after + 1)],
        states=[row(key, after, **fields)],
        version=after,
    )


def fenced(write: FinishCommand, fence: Fence) -> FinishCommand:
    write.fence = fence
    return write


class Requests:
    """Makes batches of new commands as they come: most fit, and now and then something stands against one."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._versions: dict[AggregateKey, int] = {}
        self._keys = [
            order(name, tenant_id=tenant_id)
            for tenant_id in ("acme", "other")
            for name in ("o-1", "o-2", "o-3", *ODD[:4])
        ]
        self._known = ["r-1", "r-2", "r-3"]

    def batch(self) -> list[Write]:
        """Return the next batch. What it moves, if it is committed, is at the version that is noted."""
        return [self._request() for _ in range(self._random.randint(1, 5))]

    def seen(self, key: AggregateKey, version: int) -> None:
        self._versions[key] = version

    def _request(self) -> FinishCommand:
        chance = self._random
        checks: list[VersionCheck] = []
        events: list[NewEvent] = []
        states: list[PutRow] = []
        for key in chance.sample(self._keys, chance.choice([0, 1, 1, 1, 2])):
            before = max(0, self._versions.get(key, 0) + chance.choice([0] * 30 + [-1, 1]))
            count = chance.choice([0, 1, 1, 1, 3])
            checks.append(check(key, before))
            events += [event(key, before + n, record=chance.randbytes(n * 70)) for n in range(1, count + 1)]
            fields = {"status": chance.choice(["open", "paid"]), "note": chance.choice(ODD), "n": f"{before:04}"}
            states.append(row(key, before + count, **dict(chance.sample(list(fields.items()), chance.randint(0, 3)))))
            self._versions[key] = before + count
        request = finish(
            command(
                chance.choice(self._known) if chance.random() < 0.03 else str(chance.getrandbits(64)),
                aggregate=chance.choice(self._keys),
                type=chance.choice(["Order.PlaceOrder", ODD[0]]),
                not_before=chance.choice([None, None, LATE]),
                expected_version=chance.choice([None, Version(3)]),
                attempts=chance.choice([0, 1]),
            ),
            status=chance.choice(
                [CommandStatus.EXECUTED, CommandStatus.EXECUTED, CommandStatus.REJECTED, CommandStatus.PARKED]
            ),
            checks=checks,
            events=events,
            closes=[checks[0].key] if checks and chance.random() < 0.02 else [],
            states=states,
            version=chance.randint(0, 3),
            outcome=chance.randbytes(chance.randint(0, 9)),
        )
        request.fence = chance.choice([None, Fence(7, 1), Fence(7, 1, first=True), Fence(8, 1)])
        if chance.random() < 0.02:
            request.fence = Fence(9, 2)
        return request


@pytest.mark.parametrize("seed", range(6))
async def test_both_ways_leave_and_answer_the_same(pair: Pair, seed: int) -> None:
    """Seen failing, each by itself: without the look at commands that are known; at fences; at versions; with rows or aggregates of a batch
    that come twice; with entries of a row that stay; with texts that are not escaped."""
    requests = Requests(seed)
    short = 0
    answers: set[str] = set()
    for _ in range(120):
        batch = requests.batch()
        before = await pair.last()
        for write, verdict in zip(batch, await pair.commit(batch), strict=True):
            answers.add(type(verdict).__name__)
            assert isinstance(write, FinishCommand)
            for one in write.checks:  # what became of it, where it may not have been written
                version, _ = await pair.new.events.version(one.key)
                requests.seen(one.key, version)
        short += await pair.last() > before
    await pair.compare()
    assert {"Committed", "VersionConflict", "CommandKnown", "Fenced"} <= answers
    assert short > 20


async def test_what_stands_against_a_request_is_told_and_the_others_are_written(pair: Pair) -> None:
    """One of many: the batch goes the long way then, in which each request has its own verdict."""
    await pair.commit([place(order("stored"))])
    await pair.commit([AcceptCommand(command=command("waits", aggregate=order("has-older")))])
    twice = place(order("twice"))
    known = command("first")
    cases: list[tuple[FinishCommand, FinishCommand, type]] = [
        (place(order("a-1")), place(order("stored"), before=2), VersionConflict),
        (place(order("a-2")), finish(replace(known, key=CommandKey("acme", "first"))), CommandKnown),
        (twice, finish(twice.command, checks=[check(order("twice"), 1)]), CommandKnown),
        (fenced(place(order("a-3")), Fence(7, 1)), fenced(place(order("fenced")), Fence(7, 2)), Fenced),
        (fenced(place(order("a-4")), Fence(7, 1)), fenced(place(order("has-older")), Fence(7, 1)), Behind),
    ]
    for number, (first, second, answer) in enumerate(cases):
        answers = await pair.commit([first, second, place(order(f"b-{number}"))])
        assert [type(one) for one in answers] == [Committed, answer, Committed]
    await pair.compare()


async def test_what_is_common_goes_the_short_way(pair: Pair) -> None:
    """Also several commands of an aggregate, rows that change, odd texts, what comes before older ones, and what only looks."""
    await pair.commit([AcceptCommand(command=command("older", aggregate=order("o-3")))])
    await pair.commit([AcceptCommand(command=command("later", aggregate=order("o-4"), not_before=LATE))])
    batches: list[list[FinishCommand]] = [
        [place(order("o-1"), status="open", note="x")],
        [
            place(order("o-1"), before=1, status="paid", note="x"),
            place(order("o-1"), before=2, status="open", note="y"),
        ],
        [place(order("o-1"), before=3, status="open", note="y"), fenced(place(order("o-2")), Fence(7, 1))],
        [place(order(text, tenant_id=text), note=text) for text in ODD],
        [finish(command(ODD[4]), status=CommandStatus.REJECTED)],
        [fenced(place(order("o-3")), Fence(7, 1, first=True)), fenced(place(order("o-4")), Fence(7, 1))],
        [finish(command(), checks=[check(order("never"), 0)])],
    ]
    for batch in batches:
        before = await pair.last()
        assert {type(one) for one in await pair.commit(batch)} == {Committed}
        assert await pair.last() > before
    await pair.compare()
    for text in ODD:
        key = order(text, tenant_id=text)
        assert await pair.new.events.version(key) == (1, False)


@pytest.mark.parametrize("text", ["plain", "", *ODD])
async def test_the_literal_of_records_is_read_as_what_it_was(pair: Pair, text: str) -> None:
    [row] = await pair.beside[0].fetch(
        "select * from unnest($1::text::comby.moved_aggregate[])", records([(text, "b", text, 1, 2)], 3)
    )
    stored = text.replace("\x01", "\x01\x02").replace("\x00", "\x01\x01")
    assert tuple(row) == (stored, "b", stored, 1, 2)


def test_no_records_are_an_empty_array() -> None:
    assert records([], 3) == "{}"
