"""Both connections to NATS, opened and closed together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from comby.server.brokers.nats.broker import NatsBroker
from comby.server.brokers.nats.first_choice import FirstChoice
from comby.server.brokers.nats.options import NatsOptions, check
from comby.server.brokers.nats.publisher import NatsEventPublisher
from comby.server.brokers.nats.subjects import Subjects
from comby.server.domain.identity import LogIdentity
from comby.server.ports.broker import Broker


@dataclass(frozen=True, slots=True)
class Nats:
    """What NATS is used for; each over a connection of its own, so that a wake-up never waits behind events."""

    broker: NatsBroker
    publisher: NatsEventPublisher

    def before(self, other: Broker) -> Broker:
        """Return a broker that does without NATS while it is away."""
        return FirstChoice(self.broker, other)


@asynccontextmanager
async def open_nats(options: NatsOptions, *, name: str, log: LogIdentity) -> AsyncIterator[Nats]:
    """Connect in the background until the context is left. Returns at once, also while no server is there. Raises OptionsRefused.

    `name` is the app's: the first token of all subjects. Whoever shares a broker without sharing a log needs another one.
    """
    check(options)
    subjects = Subjects(name)
    opened = Nats(NatsBroker(options, subjects), NatsEventPublisher(options, subjects, log))
    async with opened.broker.connection.running(), opened.publisher.connection.running():
        yield opened
