"""Tests of what only NATS has: its connections, its stream, the relay that fills it."""

from tests.brokers.fixtures import nats_options, nats_server, start_nats

__all__ = ["nats_options", "nats_server", "start_nats"]
