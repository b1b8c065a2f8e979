"""The given/when/then kit: runs a domain's real handlers on its real registry, without a store and without a server.

    kit = Kit(app)
    kit.given(OrderPlaced(...)).when(PayOrder(...)).then(OrderPaid(...))
    kit.given(OrderPlaced(...)).when(PayOrder(amount_cents=1)).rejected(OrderReason.WRONG_AMOUNT)

Every failed expectation is an AssertionError. A handler that changes state outside an applier fails too: such a
change would be lost.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self, TypeVar, cast

from google.protobuf.message import Message

from comby.server.application.admission import Admission
from comby.server.application.contract import AggregateType
from comby.server.application.decisions import Decider, Decision, Part
from comby.server.application.errors import FacadeError
from comby.server.application.facade import Facade
from comby.server.application.limits import Limits
from comby.server.application.pending import Pending
from comby.server.application.registration import Registration
from comby.server.application.registry import Registry
from comby.server.application.repository import REPLAY, Loaded
from comby.server.application.requests import CommandRequest
from comby.server.application.sealing import seal
from comby.server.application.validation import Validation
from comby.server.application.watchdog import Watchdog
from comby.server.domain.aggregate import apply_event
from comby.server.domain.context import RequestContext
from comby.server.domain.identity import DEFAULT_TENANT, AggregateKey, Version

__all__ = ["AGGREGATE_ID", "Given", "Kit", "Result"]

AGGREGATE_ID = "00000000-0000-4000-8000-000000000001"
"""The aggregate of a command that names none."""
ResultT = TypeVar("ResultT")


class Kit:
    """The domain of an app under test."""

    def __init__(self, app: Callable[[Facade], None]) -> None:
        registration = Registration()
        app(cast(Facade, registration))  # an app does nothing but register
        seal(registration.registry)
        self._registration = registration

    def given(self, *events: Message, aggregate_id: str = "") -> "Given":
        """Begin with events of the past; of the command's aggregate unless an id is given."""
        return Given(self._registration).given(*events, aggregate_id=aggregate_id)

    def when(self, command: Message, *, expected_version: int | None = None, actor_id: str = "") -> "Result":
        """Begin with nothing."""
        return Given(self._registration).when(command, expected_version=expected_version, actor_id=actor_id)


class Given:
    """What has happened so far."""

    def __init__(self, registration: Registration) -> None:
        self._registration = registration
        self._past: list[tuple[str, Sequence[Message]]] = []

    def given(self, *events: Message, aggregate_id: str = "") -> Self:
        """Add events of the past."""
        self._past.append((aggregate_id, events))
        return self

    def when(self, command: Message, *, expected_version: int | None = None, actor_id: str = "") -> "Result":
        """Handle a command. The message's own rules are checked first, as a server does."""
        registry = self._registration.registry
        states = _PastStates(registry)
        pending = self._admit(command, expected_version, actor_id)
        for aggregate_id, events in self._past:
            states.add(aggregate_id or pending.aggregate.aggregate_id, events)
        limits = Limits()
        watchdog = Watchdog(interrupt=limits.handler_interrupt, abort=limits.handler_abort)
        decider = _StrictDecider(registry, states, watchdog, self._registration.middleware.commands, limits)
        decision = _run(decider.decide(pending))
        return Result(pending, decision, tuple(decider.recorded) if decision.error is None else (), states)

    def _admit(self, command: Message, expected_version: int | None, actor_id: str) -> Pending:
        registry = self._registration.registry
        kind = registry.commands.get(command.DESCRIPTOR.full_name)
        if kind is None:
            raise AssertionError(f"{command.DESCRIPTOR.full_name} is no registered command")
        request = CommandRequest(
            type=command.DESCRIPTOR.full_name,
            payload=_with_id(command, kind.id_field).SerializeToString(),
            context=RequestContext(actor_id=actor_id),
            expected_version=None if expected_version is None else Version(expected_version),
        )
        return Admission(registry, Validation()).admit(request)


@dataclass(frozen=True, slots=True)
class Result:
    """What a command came to. `events` are those recorded, of all aggregates, in the order of loading."""

    _pending: Pending
    _decision: Decision
    events: tuple[Message, ...]
    _states: "_PastStates"

    @property
    def error(self) -> FacadeError | None:
        """Why the command was refused, if it was."""
        return self._decision.error

    def then(self, *expected: Message) -> Self:
        """Expect exactly these events; none at all means that nothing is recorded."""
        if self.error is not None:
            raise AssertionError(f"refused: {self.error.domain} {self.error.reason} {dict(self.error.metadata)}")
        if list(expected) != list(self.events):
            raise AssertionError(f"expected:\n{_show(expected)}\nrecorded:\n{_show(self.events)}")
        return self

    def rejected(self, reason: StrEnum | str, **metadata: object) -> Self:
        """Expect a refusal with a reason, and at least these metadata."""
        if self.error is None:
            raise AssertionError(f"not refused; recorded:\n{_show(self.events)}")
        if self.error.reason != str(reason):
            raise AssertionError(f"refused with {self.error.reason}, not {reason}")
        for key, value in metadata.items():
            if self.error.metadata.get(key) != str(value):
                raise AssertionError(f"metadata {key} is {self.error.metadata.get(key)!r}, not {str(value)!r}")
        return self

    def state(self, expected: Message) -> Self:
        """Expect the state of the command's aggregate afterwards; unset fields of `expected` are not compared."""
        states = {written.key: written.loaded.state for written in self._decision.written}
        actual = states.get(self._pending.aggregate)
        if actual is None:
            actual = self._states.present(self._pending.aggregate, self._pending.kind.aggregate).state
        for field, value in expected.ListFields():
            if getattr(actual, field.name) != value:
                raise AssertionError(f"{field.name} is {getattr(actual, field.name)!r}, not {value!r}")
        return self


class _PastStates:
    """The states that given events fold to."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._loaded: dict[AggregateKey, Loaded] = {}

    def add(self, aggregate_id: str, events: Sequence[Message]) -> None:
        for message in events:
            kind = self._registry.events.get(type(message))
            if kind is None:
                raise AssertionError(f"{message.DESCRIPTOR.full_name} is no registered event")
            key = AggregateKey(DEFAULT_TENANT, kind.aggregate.domain, aggregate_id)
            before = self.present(key, kind.aggregate)
            state = kind.aggregate.state()
            state.CopyFrom(before.state)
            aggregate = kind.aggregate.cls(aggregate_id, before.version, state, REPLAY)
            apply_event(aggregate, message)
            self._loaded[key] = Loaded(aggregate.version, aggregate.state, kind.closes, kind.aggregate)

    def present(self, key: AggregateKey, kind: AggregateType) -> Loaded:
        return self._loaded.get(key) or Loaded(Version(0), kind.state(), False, None)

    def cached(self, key: AggregateKey) -> Loaded | None:
        return self._loaded.get(key)

    async def load(self, key: AggregateKey, kind: AggregateType) -> Loaded:
        return self.present(key, kind)


class _StrictDecider(Decider):
    """Notes what is recorded, and refuses state that no event tells of."""

    recorded: list[Message]

    def conclude(self, pending: Pending, parts: Collection[Part], target: Part) -> Decision:
        self.recorded = []
        for part in parts:
            folded = part.kind.state()
            if part.loaded.kind is part.kind and not part.loaded.closed:
                folded.CopyFrom(part.loaded.state)
            again = part.kind.cls(part.key.aggregate_id, part.loaded.version, folded, part.aggregate.execution)
            for message in part.aggregate.recorded:
                apply_event(again, message)
            if again.state != part.aggregate.state:
                raise AssertionError(
                    f"a handler of {part.kind.cls.__name__} changes state that no recorded event changes:\n"
                    f"handler: {part.aggregate.state}\nevents:  {again.state}"
                )
            self.recorded += part.aggregate.recorded
        return super().conclude(pending, parts, target)


def _with_id(command: Message, field: str) -> Message:
    if getattr(command, field):
        return command
    copy = type(command)()
    copy.CopyFrom(command)
    setattr(copy, field, AGGREGATE_ID)
    return copy


def _run(coroutine: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run to the end, also where a loop runs already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def _show(events: Sequence[Message]) -> str:
    return "\n".join(f"  {event.DESCRIPTOR.name}({str(event).strip()})" for event in events) or "  nothing"
