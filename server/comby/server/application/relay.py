"""The relay: follows the log by position and publishes every event to a broker, for consumers outside of comby.

Nothing waits for it: while the broker is away it falls behind, and catches up. How far the broker has come is read from the broker itself, and
checked against the log; the checkpoint in the store is only for a stream that has nothing to tell.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from comby.facade.v1 import event_pb2
from comby.server.application import incidents
from comby.server.application.backoff import Backoff
from comby.server.application.cancellation import being_cancelled
from comby.server.application.claims import now_micros
from comby.server.application.commit_queue import CommitQueue
from comby.server.application.log_tail import EVERYTHING, LogTail
from comby.server.application.requests import ConsumerFailure, ConsumerKind, ConsumerView
from comby.server.application.stream_resume import Standing, StreamResume
from comby.server.domain.identity import Position
from comby.server.ports.checkpoint_store import AdvanceConsumer, CheckpointMoved, Consumer
from comby.server.ports.elements import message
from comby.server.ports.errors import BrokerError, BrokerUnavailable, StoreUnavailable, StreamOvertaken
from comby.server.ports.event_publisher import EventPublisher, OutgoingEvent
from comby.server.ports.event_store import StoredEvent
from comby.server.ports.store import Store

RELAY = "relay"
"""The name of its checkpoint, and of the duty where several instances share a log."""
PAGE_EVENTS = 500
PAGE_BYTES = 1024 * 1024
"""What is published at once, at most; one event may be larger than that alone."""
SAVE_SECONDS = 1.0
"""Between two savings of the checkpoint."""
LOOK_SECONDS = 5.0
"""How often an idle relay looks whether the stream is still as it was left."""
FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 3.0
OVERTAKEN_TIMES = 5
"""So often in a row without getting on, it counts as failing."""

_log = structlog.get_logger("comby.relay")


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayOptions:
    """How a stream is filled that has nothing of the log: with `history` from the oldest event that it would still keep (`keep` seconds; 0
    keeps all), and without it from where the relay stood, which is the head at the very first start."""

    history: bool = True
    keep: float = 0.0


@dataclass(slots=True)
class RelayCounts:
    """What happened since the start of the process.

    `published` events; `foreign` messages in the stream that are no events of the log, or not in their place; `lost` events that
    were in the stream and are published again; `overtaken` times that another had written.
    """

    published: int = 0
    foreign: int = 0
    lost: int = 0
    overtaken: int = 0


class Relay:
    """Runs between `start` and `stop`, and may be started again; `reconcile` does either, by who owns the duty."""

    def __init__(
        self,
        store: Store,
        queue: CommitQueue,
        tail: LogTail,
        publisher: EventPublisher,
        options: RelayOptions,
        owns_duty: Callable[[str], bool],
    ) -> None:
        self.counts = RelayCounts()
        self._store = store
        self._queue = queue
        self._tail = tail
        self._publisher = publisher
        self._options = options
        self._owns_duty = owns_duty
        self._resume = StreamResume(publisher, store.events)
        self._standing: Standing | None = None
        self._position = Position(0)
        self._saved = Position(0)
        self._saved_at = 0.0
        self._failure: ConsumerFailure | None = None
        self._told: tuple[type[BaseException], str] | None = None
        """What was last told of it: another cause is told anew."""
        self._lost = 0
        """Events that the stream has lost, as last found: they are counted once something is published again."""
        self._backoff = Backoff(FIRST_BACKOFF, LONGEST_BACKOFF)
        self._task: asyncio.Task[None] | None = None

    async def reconcile(self) -> None:
        """Run where it is owned, and not elsewhere."""
        if self._owns_duty(RELAY):
            self.start()
        else:
            await self.stop()

    def start(self) -> None:
        """Start to publish, in the background."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop, and save how far the stream has come. What is on its way to the broker may still arrive."""
        task, self._task = self._task, None
        if task is None:
            return
        while not task.done():  # a library below may swallow a cancellation
            task.cancel()
            await asyncio.wait((task,), timeout=0.1)
        if self._standing is not None:
            with suppress(StoreUnavailable):
                await self._save()
        self._standing = None
        self._failure = self._told = None

    async def view(self) -> ConsumerView:
        """Describe the relay; where another instance runs it, by its checkpoint."""
        position = self._position
        if self._task is None:
            rows = await self._store.checkpoints.consumers()
            position = next((row.position for row in rows if row.name == RELAY), Position(0))
        return ConsumerView(
            name=RELAY,
            kind=ConsumerKind.RELAY,
            position=position,
            head=self._tail.level.position,
            generation=1,
            failure=self._failure,
        )

    async def _run(self) -> None:
        while True:
            try:
                await self._load()
                await self._stand()
                while True:
                    await self._step()
                    self._recovered()
            except StoreUnavailable:
                await asyncio.sleep(self._backoff.next())
            except StreamOvertaken as error:
                self.counts.overtaken += 1
                if self._backoff.tries >= OVERTAKEN_TIMES:
                    self._note(error, error.reason)
                await asyncio.sleep(self._backoff.next())
            except BrokerError as error:
                self._note(error, error.reason)
                await asyncio.sleep(self._backoff.next())
            except (Exception, asyncio.CancelledError) as error:
                if isinstance(error, asyncio.CancelledError) and being_cancelled():
                    raise
                self._note(error, "unexpected")
                await asyncio.sleep(self._backoff.next())

    async def _load(self) -> None:
        """Read the checkpoint; make it at the very first start."""
        rows = await self._store.checkpoints.consumers()
        row = next((row for row in rows if row.name == RELAY), None)
        if row is None:
            first = await self._oldest() if self._options.history else await self._store.events.head()
            row = await self._store.checkpoints.create(
                Consumer(name=RELAY, generation=1, version=1, live=True, position=first, since=first)
            )
        self._saved = row.position
        if self._standing is None:
            self._position = row.position

    async def _stand(self) -> None:
        """Find where to go on: look at how the stream ends."""
        oldest = await self._oldest() if self._options.history else self._saved
        resumed = await self._resume.find(self._standing, self._saved, oldest)
        self.counts.foreign += resumed.foreign
        self._lost = resumed.lost
        if resumed.foreign:
            _log.warning("messages in the stream are none of the log's", count=resumed.foreign, subject="events")
        self._standing = resumed.standing
        self._position = resumed.standing.position

    async def _step(self) -> None:
        """Publish what there is, or wait for it."""
        standing = self._standing
        assert standing is not None
        page = await self._tail.page(standing.position, EVERYTHING, limit=PAGE_EVENTS, max_bytes=PAGE_BYTES)
        if page.events:
            events = [outgoing(event) for event in page.events]
            place = await self._publisher.publish(events, after=standing.place)
            self.counts.published += len(events)
            if self._lost:
                _log.warning("the stream has lost events; they are published again", count=self._lost)
                self.counts.lost += self._lost
                self._lost = 0
            self._standing = Standing(position=events[-1].position, place=place)
            self._position = events[-1].position
        now = asyncio.get_running_loop().time()
        unsaved = self._saved != self._position
        if unsaved and now - self._saved_at >= SAVE_SECONDS:
            self._saved_at = now
            await self._save()
        elif not page.events and not await self._tail.level.above(
            standing.position, timeout=SAVE_SECONDS if unsaved else LOOK_SECONDS
        ):
            await self._look(standing)

    async def _look(self, standing: Standing) -> None:
        """See that the stream is as it was left. Raises StreamOvertaken where it is not."""
        end = await self._publisher.end(limit=1)
        newest = end.newest[0].event_id if end.newest else standing.place.event_id
        if end.sequence != standing.place.sequence or (standing.place.event_id and newest != standing.place.event_id):
            raise StreamOvertaken("the stream is not as it was left")

    async def _save(self) -> None:
        """Move the checkpoint to how far the stream has come, from wherever it stands."""
        verdict = await self._queue.submit(
            AdvanceConsumer(name=RELAY, generation=1, before=self._saved, after=self._position)
        )
        if not isinstance(verdict, CheckpointMoved):
            self._saved = self._position
        elif verdict.actual is not None:
            self._saved = verdict.actual  # another relay was here: the stream tells who is right

    async def _oldest(self) -> Position:
        """Return the position behind which the stream would still keep everything."""
        if not self._options.keep:
            return Position(0)
        return await self._store.events.position_before(now_micros() - int(self._options.keep * 1_000_000))

    def _recovered(self) -> None:
        self._backoff.reset()
        if self._failure is not None:
            self._failure = self._told = None
            _log.info("relay goes on", position=self._position)

    def _note(self, error: BaseException, reason: str) -> None:
        """Remember the failure; it is told when it begins, and when it has another cause."""
        attempts = self._failure.attempts + 1 if self._failure else 1
        since = self._failure.since if self._failure else now_micros()
        told, self._told = self._told, (type(error), reason)
        if self._failure is not None and told == self._told:
            incident = self._failure.incident
        elif isinstance(error, BrokerUnavailable):
            incident = incidents.report("relay waits for the broker", error, reason=reason, position=self._position)
        else:
            incident = incidents.report("relay failed", error, reason=reason, position=self._position)
        self._failure = ConsumerFailure(
            position=Position(self._position + 1), attempts=attempts, since=since, incident=incident
        )


def outgoing(stored: StoredEvent) -> OutgoingEvent:
    """Return a stored event as it is published: complete, as a subscriber gets it."""
    event = event_pb2.Event.FromString(stored.record)
    return OutgoingEvent(
        position=stored.position,
        event_id=event.event_id,
        tenant_id=stored.key.tenant_id,
        type=stored.type,
        version=stored.version,
        correlation_id=event.context.correlation_id,
        traceparent=event.context.traceparent,
        message=message(stored.record, stored.position, stored.recorded_at),
    )
