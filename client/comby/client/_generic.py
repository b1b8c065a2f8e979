"""The generic form of a command: an Any, and its options as fields."""

from datetime import datetime

from google.protobuf.message import Message

from comby.client import _ids, _stage, _wire
from comby.client._metadata import Ambient, Options
from comby.client._stage import Wait
from comby.facade.v1 import command_pb2


def dispatch_request(message: Message, options: Options, ambient: Ambient) -> command_pb2.DispatchCommandRequest:
    """Return the generic form of a command."""
    wire = command_pb2.CommandOptions(
        request_id=options.request_id,
        expected_version=options.expected_version,
        wait=_stage.to_wire(options.wait),
        correlation_id=ambient.correlation_id or "",
        causation_id=ambient.causation_id or "",
    )
    if options.wait_timeout is not None:
        wire.wait_timeout.CopyFrom(_wire.duration(options.wait_timeout))
    if options.not_before is not None:
        wire.not_before.CopyFrom(_wire.timestamp(options.not_before))
    return command_pb2.DispatchCommandRequest(command=_wire.packed(message), options=wire)


def dispatch_options(
    wait: Wait,
    wait_timeout: float | None,
    request_id: str | None,
    expected_version: int | None,
    not_before: datetime | None,
) -> Options:
    """Return the options of one command, with a request id made here when none is given: so a retry is safe."""
    return Options(
        request_id=request_id or _ids.new_id(),
        wait=wait,
        wait_timeout=wait_timeout,
        expected_version=expected_version,
        not_before=not_before,
    )
