"""NATS: wake-ups between instances, and the stream of events for consumers outside of comby."""

from comby.server.brokers.nats.opening import Nats, open_nats
from comby.server.brokers.nats.options import NatsOptions, OptionsRefused, StreamOptions

__all__ = ["Nats", "NatsOptions", "OptionsRefused", "StreamOptions", "open_nats"]
