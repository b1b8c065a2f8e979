"""Any sequence of batches has the answers of a simple model, in every adapter."""

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from comby.server.domain.identity import AggregateKey, CommandKey, Position, Version
from comby.server.ports.command_store import CommandFilter, CommandStatus
from comby.server.ports.event_store import (
    AcceptCommand,
    CancelCommand,
    EventFilter,
    FinishCommand,
    RetryCommand,
    StartCommand,
    Write,
)
from comby.server.ports.store import Store
from tests.contract.making import Opener, check, command, event, finish, order
from tests.contract.store_model import Answer, StoreModel, comparable

TENANTS = ("acme", "other")
AGGREGATES = [order(name, tenant_id=tenant_id) for tenant_id in TENANTS for name in ("o-1", "o-2")]
TYPES = ("Order.OrderPlaced", "Order.OrderPaid")
ENDS = [CommandStatus.EXECUTED, CommandStatus.REJECTED, CommandStatus.PARKED]

aggregates = st.sampled_from(AGGREGATES)
request_ids = st.one_of(st.sampled_from(["r-1", "r-2", "r-3"]), st.uuids().map(str))
commands = st.builds(
    command,
    request_ids,
    aggregate=aggregates,
    type=st.sampled_from(TYPES),
    not_before=st.sampled_from([None, None, 10, 20]),
    attempts=st.integers(0, 1),
)


def keys(model: StoreModel, *statuses: CommandStatus) -> st.SearchStrategy[CommandKey]:
    """Draw a command in one of these statuses, now and then any other, or one that is unknown."""
    fitting = [stored.key for stored in model.commands.values() if stored.status in statuses]
    anything = st.sampled_from([*model.commands, CommandKey("acme", "unknown")])
    return st.one_of(st.sampled_from(fitting), st.sampled_from(fitting), anything) if fitting else anything


@st.composite
def finishes(draw: st.DrawFn, model: StoreModel) -> FinishCommand:
    """End a command that is new or stored, with events in up to two aggregates; mostly at their right versions."""
    checks: dict[AggregateKey, int] = {}
    for key in draw(st.lists(aggregates, unique=True, max_size=2)):
        version, _ = model.aggregates.get(key, (0, False))
        checks[key] = max(0, version + draw(st.sampled_from([0, 0, 0, 0, -1, 1])))
    events = [
        event(key, checks[key] + number, type=draw(st.sampled_from(TYPES)), record=draw(st.binary(max_size=9)))
        for key in checks
        for number in range(1, draw(st.integers(0, 2)) + 1)
    ]
    return finish(
        draw(st.one_of(commands, keys(model, CommandStatus.ACCEPTED))),
        status=draw(st.sampled_from(ENDS)),
        checks=[check(key, version) for key, version in checks.items()],
        events=events,
        closes=draw(st.sets(st.sampled_from(list(checks)), max_size=1)) if checks else (),
        version=draw(st.integers(0, 3)),
        outcome=draw(st.binary(max_size=5)),
    )


def writes(model: StoreModel) -> st.SearchStrategy[Write]:
    """Draw a request that fits the model as it stands, or nearly."""
    accepted, parked = CommandStatus.ACCEPTED, CommandStatus.PARKED
    return st.one_of(
        finishes(model),
        finishes(model),
        st.builds(AcceptCommand, command=commands),
        st.builds(StartCommand, key=keys(model, accepted)),
        st.builds(CancelCommand, key=keys(model, accepted, parked), outcome=st.binary(max_size=5)),
        st.builds(RetryCommand, key=keys(model, parked)),
    )


filters = st.builds(
    EventFilter,
    tenant_id=st.sampled_from([None, *TENANTS]),
    domains=st.sampled_from([frozenset[str](), frozenset({"Order"}), frozenset({"Stock"})]),
    types=st.frozensets(st.sampled_from(TYPES)),
    aggregate=st.one_of(st.none(), aggregates),
)


class StoreMachine(RuleBasedStateMachine):
    """Commits batches to a store and to the model, and compares every answer."""

    def __init__(self, adapter: Callable[[Path], Opener], *, reopenings: int) -> None:
        """Open a store that may be closed and opened again so many times: 0 for one that is gone when it is closed."""
        super().__init__()
        self.model = StoreModel()
        self.reopenings = reopenings
        self._runner = asyncio.Runner()
        self._directory = tempfile.TemporaryDirectory()
        self._open = adapter(Path(self._directory.name))
        self._enter()

    def _enter(self) -> None:
        self._stack = AsyncExitStack()
        self.store: Store = self._runner.run(self._stack.enter_async_context(self._open()))

    def teardown(self) -> None:
        self._runner.run(self._stack.aclose())
        self._runner.close()
        self._directory.cleanup()

    @rule(data=st.data(), size=st.integers(1, 6))
    def commit(self, data: st.DataObject, size: int) -> None:
        batch: list[Write] = []
        expected: list[Answer] = []
        for _ in range(size):
            batch.append(data.draw(writes(self.model)))
            expected.append(self.model.decide(batch[-1]))
        answered = self._runner.run(self.store.events.commit(batch))
        assert [comparable(verdict) for verdict in answered] == expected

    @rule(filter=filters, after=st.integers(0, 30), limit=st.integers(1, 5), backwards=st.booleans())
    def read(self, filter: EventFilter, after: int, limit: int, backwards: bool) -> None:
        after = min(after, len(self.model.log))
        page = self._runner.run(
            self.store.events.read(
                after=Position(after), filter=filter, limit=limit, max_bytes=1 << 20, backwards=backwards
            )
        )
        found = [(entry.position, entry.key, entry.version, entry.type, entry.record) for entry in page.events]
        expected, through = self.model.read(filter, after=after, limit=limit, backwards=backwards)
        assert (found, page.through) == (expected, through)

    @rule(key=aggregates, after=st.integers(0, 5))
    def read_aggregate(self, key: AggregateKey, after: int) -> None:
        found = self._runner.run(self.store.events.read_aggregate(key, after=Version(after), limit=1_000))
        assert [entry.position for entry in found] == self.model.positions_of(key, after)

    @rule(tenant_id=st.sampled_from(TENANTS), statuses=st.frozensets(st.sampled_from(list(CommandStatus))))
    def list_commands(self, tenant_id: str, statuses: frozenset[CommandStatus]) -> None:
        asked = CommandFilter(tenant_id=tenant_id, statuses=statuses)
        found = self._runner.run(self.store.commands.list(asked, limit=1_000))
        assert [comparable(entry) for entry in found] == self.model.listed(tenant_id, statuses)

    @rule(due=st.sampled_from([0, 10, 20]))
    def open_commands(self, due: int) -> None:
        expected = self.model.open(due)
        keys = self._runner.run(self.store.commands.open_keys(due=due, limit=1_000))
        assert list(keys) == [entry.key for entry in expected]
        found = self._runner.run(self.store.commands.get_many(keys))
        assert [comparable(found[key]) for key in keys] == expected
        for aggregate in AGGREGATES:
            keys = self._runner.run(self.store.commands.open_keys_of_aggregate(aggregate, due=due, limit=1_000))
            assert list(keys) == [entry.key for entry in expected if entry.aggregate == aggregate]
        assert self._runner.run(self.store.commands.next_due(after=due)) == self.model.next_due(due)

    @precondition(lambda self: self.reopenings > 0)
    @rule()
    def reopen(self) -> None:
        self.reopenings -= 1
        self._runner.run(self._stack.aclose())
        self._enter()
        assert not self.store.events.unclean

    @invariant()
    def counts_are_equal(self) -> None:
        assert self._runner.run(self.store.events.head()) == len(self.model.log)
        assert self._runner.run(self.store.commands.count_open()) == self.model.count_open()

    @invariant()
    def versions_are_equal(self) -> None:
        found = {key: self._runner.run(self.store.events.version(key)) for key in AGGREGATES}
        assert found == {key: self.model.aggregates.get(key, (0, False)) for key in AGGREGATES}


def run_examples(adapter: Callable[[Path], Opener], *, reopenings: int, examples: int, steps: int) -> None:
    class Machine(StoreMachine):
        def __init__(self) -> None:
            super().__init__(adapter, reopenings=reopenings)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


@pytest.mark.timeout(600)  # most of it opens stores: up to eighty, each with a process of its own
def test_every_answer_is_that_of_the_model(adapter: Callable[[Path], Opener], durable: bool) -> None:
    run_examples(adapter, reopenings=1 if durable else 0, examples=40, steps=30)


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_every_answer_is_that_of_the_model_at_length(adapter: Callable[[Path], Opener], durable: bool) -> None:
    run_examples(adapter, reopenings=50 if durable else 0, examples=300, steps=50)
