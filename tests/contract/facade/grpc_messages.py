"""From what a test sends to the messages and metadata of the contract."""

from google.protobuf import any_pb2, duration_pb2, timestamp_pb2
from google.protobuf.message import Message

from comby.facade.v1 import command_pb2, event_pb2
from comby.facade.v1.command_pb2 import CommandStage
from comby.server.application.requests import Stage
from comby.server.domain.identity import DEFAULT_TENANT
from tests.contract.facade.driver import STAGE_NUMBERS, Sent, Wanted


def request_of(sent: Sent) -> command_pb2.DispatchCommandRequest:
    options = command_pb2.CommandOptions(
        request_id=sent.request_id,
        expected_version=sent.expected_version,
        wait=stage_of(sent.wait),
        wait_timeout=duration(sent.wait_timeout),
        not_before=None if sent.not_before is None else timestamp(sent.not_before),
    )
    command = any_pb2.Any(type_url=f"type.googleapis.com/{sent.type}", value=sent.bytes)
    return command_pb2.DispatchCommandRequest(command=command, options=options)


def stage_of(stage: Stage) -> CommandStage.ValueType:
    return CommandStage.ValueType(STAGE_NUMBERS[stage])


def filter_of(wanted: Wanted) -> event_pb2.EventFilter:
    return event_pb2.EventFilter(
        domains=wanted.domains,
        types=wanted.types,
        aggregate_id=wanted.aggregate_id,
        all_tenants=wanted.all_tenants,
    )


def packed(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def metadata_of(tenant: str, token: str = "") -> tuple[tuple[str, str], ...]:
    pairs = [] if tenant == DEFAULT_TENANT else [("comby-tenant-id", tenant)]
    return tuple([*pairs, ("comby-consistency-token", token)] if token else pairs)


def duration(seconds: float | None) -> duration_pb2.Duration | None:
    if seconds is None:
        return None
    return duration_pb2.Duration(seconds=int(seconds), nanos=round((seconds - int(seconds)) * 1_000_000_000))


def timestamp(microseconds: int) -> timestamp_pb2.Timestamp:
    seconds, rest = divmod(microseconds, 1_000_000)
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=rest * 1000)
