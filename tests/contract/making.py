"""Requests for the stores, with everything that a test does not care about filled in."""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from comby.server.domain.identity import AggregateKey, CommandKey, Position, Version
from comby.server.ports.command_store import CommandStatus, NewCommand
from comby.server.ports.event_store import (
    AcceptCommand,
    Committed,
    EventFilter,
    EventPage,
    FinishCommand,
    NewEvent,
    StoredEvent,
    Verdict,
    VersionCheck,
    Write,
)
from comby.server.ports.read_model_store import PutRow
from comby.server.ports.store import Store

Opener: TypeAlias = Callable[[], AbstractAsyncContextManager[Store]]

TENANT = "acme"
LATE = 2**53  # microseconds since 1970: later than any test runs


def order(aggregate_id: str = "o-1", *, tenant_id: str = TENANT, domain: str = "Order") -> AggregateKey:
    return AggregateKey(tenant_id, domain, aggregate_id)


def command(
    request_id: str | None = None,
    *,
    aggregate: AggregateKey | None = None,
    type: str = "Order.PlaceOrder",
    not_before: int | None = None,
    expected_version: Version | None = None,
    attempts: int = 0,
) -> NewCommand:
    target = aggregate or order()
    return NewCommand(
        key=CommandKey(target.tenant_id, request_id or str(uuid.uuid4())),
        aggregate=target,
        partition=7,
        fingerprint=b"\x00\xfffingerprint",
        type=type,
        command=b"\x00\xffcommand",
        context=b"\x00\xffcontext",
        expected_version=expected_version,
        not_before=not_before,
        attempts=attempts,
    )


def event(key: AggregateKey, version: int, *, type: str = "Order.OrderPlaced", record: bytes = b"\xff\x00") -> NewEvent:
    return NewEvent(key=key, version=Version(version), type=type, request_id="r", record=record)


def check(key: AggregateKey, version: int) -> VersionCheck:
    return VersionCheck(key, Version(version))


def finish(
    target: NewCommand | CommandKey | None = None,
    *,
    status: CommandStatus = CommandStatus.EXECUTED,
    checks: Iterable[VersionCheck] = (),
    events: Iterable[NewEvent] = (),
    closes: Iterable[AggregateKey] = (),
    states: Iterable[PutRow] = (),
    version: int = 0,
    outcome: bytes = b"\x00\xffoutcome",
) -> FinishCommand:
    return FinishCommand(
        command=target or command(),
        status=status,
        outcome=outcome,
        version=Version(version),
        checks=tuple(checks),
        events=tuple(events),
        closes=frozenset(closes),
        states=tuple(states),
    )


def append(
    key: AggregateKey, count: int = 1, *, after: int = 0, type: str = "Order.OrderPlaced", record: bytes = b"\xff\x00"
) -> FinishCommand:
    """Make a command that appends events of one type to one aggregate."""
    return finish(
        command(aggregate=key),
        checks=[check(key, after)],
        events=[event(key, after + number, type=type, record=record) for number in range(1, count + 1)],
        version=after + count,
    )


def row(
    key: str,
    fields: Mapping[str, str] | None = None,
    *,
    model: str = "orders",
    tenant_id: str = TENANT,
    content: bytes = b"\x00\xffrow",
    stamp: str = "s1",
    version: int = 0,
) -> PutRow:
    return PutRow(
        model=model,
        tenant_id=tenant_id,
        key=key,
        row=content,
        fields=fields or {},
        stamp=stamp,
        version=Version(version),
    )


async def commit(store: Store, *writes: Write) -> Sequence[Verdict]:
    return await store.events.commit(writes)


async def commit_one(store: Store, write: Write) -> Verdict:
    [verdict] = await store.events.commit([write])
    return verdict


async def committed(store: Store, *writes: Write) -> list[Committed]:
    """Commit requests none of which may be refused."""
    verdicts = await store.events.commit(writes)
    found = [verdict for verdict in verdicts if isinstance(verdict, Committed)]
    assert found == list(verdicts)
    return found


async def accept(store: Store, new: NewCommand) -> CommandKey:
    await store.events.commit([AcceptCommand(command=new)])
    return new.key


async def park(store: Store, new: NewCommand) -> CommandKey:
    await store.events.commit(
        [AcceptCommand(command=new), finish(new.key, status=CommandStatus.PARKED, outcome=b"parked")]
    )
    return new.key


async def read(
    store: Store,
    after: int = 0,
    *,
    filter: EventFilter | None = None,
    limit: int = 100,
    max_bytes: int = 1 << 20,
    backwards: bool = False,
) -> EventPage:
    return await store.events.read(
        after=Position(after),
        filter=filter or EventFilter(),
        limit=limit,
        max_bytes=max_bytes,
        backwards=backwards,
    )


async def all_events(store: Store) -> list[StoredEvent]:
    """Read the whole log, in pages, and see that its positions have no gap."""
    found: list[StoredEvent] = []
    after = 0
    while after < await store.events.head():
        page = await read(store, after)
        found.extend(page.events)
        after = page.through
    assert [event.position for event in found] == list(range(1, len(found) + 1))
    return found


def positions(page: EventPage) -> list[int]:
    return [event.position for event in page.events]
