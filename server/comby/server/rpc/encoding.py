"""From what the facade answers to the messages of the contract."""

from google.protobuf import timestamp_pb2

from comby.facade.v1 import command_pb2
from comby.server.application.requests import Receipt, Stage
from comby.server.ports.elements import varint
from comby.server.rpc.status import status_of

STAGE_NUMBERS = {
    Stage.ACCEPTED: command_pb2.COMMAND_STAGE_ACCEPTED,
    Stage.EXECUTED: command_pb2.COMMAND_STAGE_EXECUTED,
    Stage.PROJECTED: command_pb2.COMMAND_STAGE_PROJECTED,
    Stage.REJECTED: command_pb2.COMMAND_STAGE_REJECTED,
    Stage.PARKED: command_pb2.COMMAND_STAGE_PARKED,
    Stage.CANCELLED: command_pb2.COMMAND_STAGE_CANCELLED,
}
STAGES = {number: stage for stage, number in STAGE_NUMBERS.items()}
MICROSECONDS = 1_000_000

# The fields of a CommandReceipt.
_REQUEST_ID = b"\x0a"
_STAGES = {stage: b"\x10" + varint(number) for stage, number in STAGE_NUMBERS.items()}
_AGGREGATE_ID = b"\x1a"
_AGGREGATE_VERSION = b"\x20"
_CONSISTENCY_TOKEN = b"\x2a"
_EVENT_IDS = b"\x32"


def receipt_message(receipt: Receipt) -> command_pb2.CommandReceipt:
    """Encode a receipt, its error in the form of a unary error."""
    message = receipt_without_error(receipt)
    if receipt.error is not None:
        message.error.CopyFrom(status_of(receipt.error))
    return message


def receipt_bytes(receipt: Receipt, request_id: str) -> bytes:
    """Encode a receipt as `receipt_message` does, by hand, under the request id as it was sent: it is done for every command."""
    if receipt.error is not None:
        message = receipt_message(receipt)
        message.request_id = request_id
        return message.SerializeToString()
    encoded = _text(_REQUEST_ID, request_id) + _STAGES[receipt.stage] + _text(_AGGREGATE_ID, receipt.aggregate_id)
    if receipt.aggregate_version:
        encoded += _AGGREGATE_VERSION + varint(receipt.aggregate_version)
    if receipt.token:
        encoded += _text(_CONSISTENCY_TOKEN, receipt.token)
    for event_id in receipt.event_ids:
        encoded += _text(_EVENT_IDS, event_id)
    return encoded


def _text(tag: bytes, text: str) -> bytes:
    data = text.encode()
    return tag + varint(len(data)) + data if data else b""


def receipt_without_error(receipt: Receipt) -> command_pb2.CommandReceipt:
    """Encode a receipt that travels in the details of its own error."""
    return command_pb2.CommandReceipt(
        request_id=receipt.request_id,
        stage=STAGE_NUMBERS[receipt.stage],
        aggregate_id=receipt.aggregate_id,
        aggregate_version=receipt.aggregate_version,
        consistency_token=receipt.token,
        event_ids=receipt.event_ids,
    )


def timestamp(microseconds: int) -> timestamp_pb2.Timestamp:
    """Encode a time in microseconds since 1970."""
    seconds, rest = divmod(microseconds, MICROSECONDS)
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=rest * 1000)
