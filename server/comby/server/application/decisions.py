"""One run of a command's handler: from committed states to what is to be committed. It writes nothing."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from comby.server.application.contract import AggregateType, CommandType
from comby.server.application.errors import (
    AggregateExists,
    AggregateNotFound,
    BusinessRule,
    FacadeError,
    LimitExceeded,
    VersionMismatch,
)
from comby.server.application.event_codec import new_event
from comby.server.application.limits import Limits
from comby.server.application.pending import Pending
from comby.server.application.registry import Registry
from comby.server.application.repository import Loaded
from comby.server.application.state_rows import state_row
from comby.server.application.watchdog import Watchdog
from comby.server.domain.aggregate import Aggregate
from comby.server.domain.context import Execution
from comby.server.domain.identity import AggregateKey, Version, is_canonical
from comby.server.domain.middleware import CommandMiddleware
from comby.server.domain.rejections import Rejected
from comby.server.ports.event_store import NewEvent, VersionCheck
from comby.server.ports.read_model_store import PutRow

AggregateT = TypeVar("AggregateT", bound=Aggregate[Any])
_NONE: frozenset[AggregateKey] = frozenset()
_MISSING = Loaded(Version(0), Empty(), False, None)
"""An aggregate that does not exist: its state is not looked at."""


class CommittedStates(Protocol):
    """Where committed states come from."""

    def cached(self, key: AggregateKey) -> Loaded | None:
        """Return what is in memory."""
        ...

    async def load(self, key: AggregateKey, kind: AggregateType) -> Loaded:
        """Return an aggregate as committed; at version 0 where it does not exist."""
        ...


@dataclass(slots=True)
class Written:
    """An aggregate's new state, to be remembered once it is committed."""

    key: AggregateKey
    kind: AggregateType
    before: Version
    loaded: Loaded
    state: bytes


@dataclass(slots=True)
class Decision:
    """What a command comes to. With an error nothing is recorded; the checks say on what the decision rests."""

    checks: tuple[VersionCheck, ...]
    version: Version
    error: FacadeError | None = None
    events: tuple[NewEvent, ...] = ()
    event_ids: tuple[str, ...] = ()
    closes: frozenset[AggregateKey] = _NONE
    states: tuple[PutRow, ...] = ()
    written: tuple[Written, ...] = ()


@dataclass(slots=True)
class Part:
    """One loaded aggregate of a run."""

    key: AggregateKey
    kind: AggregateType
    loaded: Loaded
    aggregate: Aggregate[Any]


class Decider:
    """Runs handlers on copies of committed states."""

    def __init__(
        self,
        registry: Registry,
        states: CommittedStates,
        watchdog: Watchdog,
        middleware: list[CommandMiddleware],
        limits: Limits,
    ) -> None:
        self._registry = registry
        self._states = states
        self._watchdog = watchdog
        self._middleware = middleware
        self._limits = limits

    def decide_at_once(self, pending: Pending) -> Decision | None:
        """Run the command where nothing has to be awaited, else return None.

        An aggregate that a creating command names, and that nobody remembers, is taken as missing: the commit checks
        it.
        """
        kind = pending.kind
        if kind.decide is None or self._middleware:
            return None
        loaded = self._states.cached(pending.aggregate)
        if loaded is None:
            if not kind.creates:
                return None
            loaded = _MISSING
        return self._decide_on(pending, loaded)

    async def decide(self, pending: Pending) -> Decision:
        """Run the command once. Whatever the handler raises but Rejected comes out, HandlerInterrupted among it."""
        kind = pending.kind
        loaded = await self._states.load(pending.aggregate, kind.aggregate)
        if kind.decide is not None and not self._middleware:
            return self._decide_on(pending, loaded)
        refusal = _refusal(pending, loaded)
        if refusal is not None:
            return Decision((VersionCheck(pending.aggregate, loaded.version),), Version(0), refusal)
        run = Run(self._registry, self._states, pending, _execution(pending))
        part = run.admit(pending.aggregate, kind.aggregate, loaded)
        try:
            async with asyncio.timeout(self._limits.handler_timeout):
                await self._through_middleware(pending, run, part)
        except Rejected as rejected:
            return Decision(_checks(run.parts.values()), Version(0), BusinessRule(kind.aggregate.domain, rejected))
        return self.conclude(pending, run.parts.values(), part)

    def _decide_on(self, pending: Pending, loaded: Loaded) -> Decision:
        """Run the handler of one aggregate on its committed state."""
        kind = pending.kind
        refusal = _refusal(pending, loaded)
        if refusal is not None:
            return Decision((VersionCheck(pending.aggregate, loaded.version),), Version(0), refusal)
        part = _part(pending.aggregate, kind.aggregate, loaded, _execution(pending))
        try:
            self._decide(kind, part.aggregate, pending.message)
        except Rejected as rejected:
            return Decision(_checks((part,)), Version(0), BusinessRule(kind.aggregate.domain, rejected))
        return self.conclude(pending, (part,), part)

    def _decide(self, kind: CommandType, aggregate: Aggregate[Any], message: Message) -> None:
        assert kind.decide is not None
        self._watchdog.enter(kind.identifier)
        try:
            kind.decide(aggregate, message)
        finally:
            self._watchdog.leave()

    async def _conduct(self, kind: CommandType, message: Message, run: "Run") -> None:
        assert kind.conduct is not None
        await self._watchdog.watched(kind.identifier, kind.conduct(message, run))

    async def _through_middleware(self, pending: Pending, run: "Run", part: Part, depth: int = 0) -> None:
        kind = pending.kind
        if depth < len(self._middleware):
            await self._middleware[depth].on_command(
                pending.message, run.execution, lambda: self._through_middleware(pending, run, part, depth + 1)
            )
        elif kind.decide is not None:
            self._decide(kind, part.aggregate, pending.message)
        else:
            await self._conduct(kind, pending.message, run)

    def conclude(self, pending: Pending, parts: Collection[Part], target: Part) -> Decision:
        """Turn what was recorded into what is to be committed."""
        events: list[NewEvent] = []
        ids: list[str] = []
        closes: list[AggregateKey] = []
        states: list[PutRow] = []
        written: list[Written] = []
        for part in parts:
            recorded = part.aggregate.recorded
            if not recorded:
                continue
            if part is not target and not is_canonical(part.key.aggregate_id):
                raise ValueError(f"an event was recorded on {part.kind.identifier} under an id that is no UUID")
            if part.loaded.version and (part.loaded.closed or part.loaded.kind is not part.kind):
                error = AggregateNotFound(part.kind.identifier, part.key.aggregate_id)
                return Decision(_checks(parts), Version(0), error)
            version = part.loaded.version
            for message in recorded:
                version = Version(version + 1)
                kind = self._registry.events[type(message)]
                event_id, event = new_event(
                    part.key, version, message, kind, pending.key.request_id, pending.new.context
                )
                if len(event.record) > self._limits.event_bytes:
                    return self._too_large(parts, "event_bytes", self._limits.event_bytes, len(event.record))
                events.append(event)
                ids.append(event_id)
                if kind.closes:
                    closes.append(part.key)
            written.append(_written(part, version, part.key in closes))
            states.append(state_row(part.kind, part.key, version, part.aggregate.state, written[-1].state))
        if len(events) > self._limits.events_per_command:
            return self._too_large(parts, "events_per_command", self._limits.events_per_command, len(events))
        return Decision(
            _checks(parts),
            target.aggregate.version,
            None,
            tuple(events),
            tuple(ids),
            frozenset(closes) if closes else _NONE,
            tuple(states),
            tuple(written),
        )

    def _too_large(self, parts: Collection[Part], limit: str, allowed: int, actual: int) -> Decision:
        return Decision(_checks(parts), Version(0), LimitExceeded(limit, allowed=allowed, actual=actual))


class Run:
    """The aggregates of one run; to an async handler it is the CommandContext."""

    def __init__(self, registry: Registry, states: CommittedStates, pending: Pending, execution: Execution) -> None:
        self._registry = registry
        self._states = states
        self._pending = pending
        self._execution = execution
        self.parts: dict[AggregateKey, Part] = {}

    @property
    def execution(self) -> Execution:
        return self._execution

    async def load(self, aggregate: type[AggregateT], aggregate_id: str) -> AggregateT:
        kind = self._registry.aggregate_of(aggregate)
        key = AggregateKey(self._pending.key.tenant_id, kind.domain, aggregate_id.lower())
        part = self.parts.get(key)
        if part is None:
            loaded = await self._states.load(key, kind)
            part = self.parts.get(key) or self.admit(key, kind, loaded)
        if not isinstance(part.aggregate, aggregate):
            raise TypeError(f"{aggregate_id} was loaded as another aggregate")
        return part.aggregate

    def admit(self, key: AggregateKey, kind: AggregateType, loaded: Loaded) -> Part:
        """Give the handler a copy of a committed state."""
        part = self.parts[key] = _part(key, kind, loaded, self._execution)
        return part


def _part(key: AggregateKey, kind: AggregateType, loaded: Loaded, execution: Execution) -> Part:
    """Return a copy of a committed state, for a handler."""
    state = kind.state()
    version = loaded.version
    if loaded.kind is kind and not loaded.closed:
        state.CopyFrom(loaded.state)
    elif loaded.version:
        version = Version(0)  # closed, or another kind under this id: it does not exist for the handler
    return Part(key, kind, loaded, kind.cls(key.aggregate_id, version, state, execution))


def _checks(parts: Collection[Part]) -> tuple[VersionCheck, ...]:
    """Everything that was loaded must still be at its version."""
    return tuple([VersionCheck(part.key, part.loaded.version) for part in parts])


def _execution(pending: Pending) -> Execution:
    return Execution(pending.key.request_id, pending.context, datetime.now(UTC))


def _refusal(pending: Pending, loaded: Loaded) -> FacadeError | None:
    """Say why the command can not be handled on this aggregate at all."""
    kind = pending.kind
    expected = pending.new.expected_version
    if expected is not None and expected != loaded.version:
        return VersionMismatch(pending.aggregate, expected=expected, actual=loaded.version)
    if kind.creates:
        return AggregateExists(kind.aggregate.identifier, pending.aggregate.aggregate_id) if loaded.version else None
    if loaded.version == 0 or loaded.closed or loaded.kind is not kind.aggregate:
        return AggregateNotFound(kind.aggregate.identifier, pending.aggregate.aggregate_id)
    return None


def _written(part: Part, version: Version, closed: bool) -> Written:
    state = part.aggregate.state
    loaded = Loaded(version, state, closed, part.kind)
    return Written(part.key, part.kind, part.loaded.version, loaded, state.SerializeToString())
