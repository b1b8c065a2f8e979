"""The stream of events in JetStream: made, or checked and brought in line with the settings."""

from dataclasses import dataclass

import structlog
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig, StreamInfo
from nats.js.errors import NotFoundError

from comby.server.brokers.nats.options import StreamOptions
from comby.server.brokers.nats.subjects import Subjects
from comby.server.domain.identity import LogIdentity
from comby.server.ports.errors import StreamRefused

DUPLICATE_WINDOW = 120.0
"""Seconds in which the broker itself recognises a message that comes again; the default of the broker. Later ones are refused by their place."""
LOG = "comby-log"
"""Key of the stream's metadata: whose events it holds."""

_log = structlog.get_logger("comby.broker")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """Its first and last sequences; `last` stays where it is when messages are dropped."""

    first: int
    last: int


async def prepared(
    jetstream: JetStreamContext, subjects: Subjects, options: StreamOptions, log: LogIdentity
) -> StreamState:
    """Make the stream, or check it and bring it in line; return its state. Raises StreamRefused, and the errors of the library."""
    try:
        info = await jetstream.stream_info(subjects.stream)
    except NotFoundError:
        if not options.managed:
            raise StreamRefused(f"there is no stream {subjects.stream}") from None
        info = await jetstream.add_stream(_wanted(StreamConfig(name=subjects.stream), subjects, options, log))
        _log.info("stream made", stream=subjects.stream)
    _check(info, subjects, log)
    if options.managed:
        wanted = _wanted(info.config, subjects, options, log)
        if wanted != info.config:
            await jetstream.update_stream(wanted)
            _log.info("stream brought in line with the settings", stream=subjects.stream)
    return StreamState(first=info.state.first_seq, last=info.state.last_seq)


def _wanted(config: StreamConfig, subjects: Subjects, options: StreamOptions, log: LogIdentity) -> StreamConfig:
    """Return a configuration with what is ours to say; whatever else an operator has set stays."""
    window = min(DUPLICATE_WINDOW, options.max_age) if options.max_age else DUPLICATE_WINDOW
    return config.evolve(
        subjects=[subjects.all_events],
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,
        storage=StorageType.FILE,
        max_age=options.max_age,
        max_bytes=options.max_bytes or -1,
        num_replicas=options.replicas,
        duplicate_window=window,
        metadata={**(config.metadata or {}), LOG: log.log_id},
    )


def _check(info: StreamInfo, subjects: Subjects, log: LogIdentity) -> None:
    """Refuse a stream that would lose, hold back or mix up events."""
    config = info.config
    if config.subjects != [subjects.all_events]:
        raise StreamRefused(f"the stream {config.name} has other subjects than {subjects.all_events}")
    if (config.metadata or {}).get(LOG, log.log_id) != log.log_id:
        raise StreamRefused(f"the stream {config.name} holds the events of another log")
    if config.retention != RetentionPolicy.LIMITS or config.storage != StorageType.FILE:
        raise StreamRefused(f"the stream {config.name} needs retention by limits, and storage in files")
    if (
        config.discard != DiscardPolicy.OLD
        or config.sealed
        or config.no_ack
        or config.max_msgs_per_subject not in (-1, 0)
    ):
        raise StreamRefused(f"the stream {config.name} must take every event, acknowledge it and drop only the oldest")
