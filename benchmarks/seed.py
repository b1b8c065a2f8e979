"""Fills a store with events, straight through the store's own commit, in batches.

`python -m benchmarks.seed FILE EVENTS`
"""

import asyncio
import sys
from uuid import uuid4

from bench.counter.v1 import counter_pb2
from benchmarks.app import app
from comby.server.application.event_codec import encode_context, new_event
from comby.server.application.registration import Registration
from comby.server.application.sealing import seal
from comby.server.domain.context import RequestContext
from comby.server.domain.identity import AggregateKey, CommandKey, Version
from comby.server.ports.command_store import CommandStatus, NewCommand
from comby.server.ports.event_store import FinishCommand, VersionCheck
from comby.server.stores.sqlite import open_sqlite

PER_COMMAND = 100
PER_BATCH = 10


async def main(file: str, events: int) -> None:
    """Write counters of 100 events each."""
    registration = Registration()
    app(registration)
    seal(registration.registry)
    async with open_sqlite(f"sqlite:///{file}") as store:
        for _ in range(events // PER_COMMAND // PER_BATCH):
            await store.events.commit([_command(registration) for _ in range(PER_BATCH)])


def _command(registration: Registration) -> FinishCommand:
    request_id = str(uuid4())
    key = AggregateKey("default", "Counter", str(uuid4()))
    context = encode_context(RequestContext(correlation_id=request_id, causation_id=request_id))
    kinds = registration.registry.events
    messages = [counter_pb2.CounterStarted(name="counter")]
    messages += [counter_pb2.CounterRaised(amount=1)] * (PER_COMMAND - 1)
    made = [
        new_event(key, Version(place), message, kinds[type(message)], request_id, context)
        for place, message in enumerate(messages, 1)
    ]
    return FinishCommand(
        command=NewCommand(
            key=CommandKey("default", request_id),
            aggregate=key,
            partition=0,
            fingerprint=b"seed",
            type="Counter.StartCounter",
            command=b"",
            context=context,
            expected_version=None,
            not_before=None,
        ),
        status=CommandStatus.EXECUTED,
        outcome=b"",
        version=Version(PER_COMMAND),
        checks=(VersionCheck(key, Version(0)),),
        events=tuple(event for _, event in made),
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
