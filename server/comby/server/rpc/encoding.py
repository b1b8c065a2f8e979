"""From what the facade answers to the messages of the contract."""

from google.protobuf import timestamp_pb2

from comby.facade.v1 import command_pb2
from comby.server.application.requests import Receipt, Stage
from comby.server.ports.elements import SHORT_VARINTS, varint_text
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

# The fields of a CommandReceipt, as text: all that is in one without an error is ASCII.
_REQUEST_ID = "\x0a"
_STAGES = {stage: "\x10" + varint_text(number) for stage, number in STAGE_NUMBERS.items()}
_AGGREGATE_ID = "\x1a"
_AGGREGATE_VERSION = "\x20"
_CONSISTENCY_TOKEN = "\x2a"
_EVENT_ID = "\x32\x24"  # 36 characters


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
    aggregate_id, token = receipt.aggregate_id, receipt.token
    fields = (
        f"{_REQUEST_ID}{SHORT_VARINTS[len(request_id)]}{request_id}"
        f"{_STAGES[receipt.stage]}"
        f"{_AGGREGATE_ID}{SHORT_VARINTS[len(aggregate_id)]}{aggregate_id}"
    )
    if receipt.aggregate_version:
        fields += f"{_AGGREGATE_VERSION}{varint_text(receipt.aggregate_version)}"
    if token:
        fields += f"{_CONSISTENCY_TOKEN}{SHORT_VARINTS[len(token)]}{token}"
    for event_id in receipt.event_ids:
        fields += f"{_EVENT_ID}{event_id}"
    return fields.encode("latin-1")


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
