"""Receipts as stored: what a command came to, kept with its row and told again to whoever asks."""

from google.rpc import error_details_pb2

from comby.facade.v1 import command_pb2
from comby.server.application.errors import FacadeError, StoredError
from comby.server.application.requests import Receipt, Stage
from comby.server.application.tokens import ConsistencyTokens
from comby.server.domain.identity import Position, Version
from comby.server.ports.command_store import CommandStatus, StoredCommand

_EVENT_ID = "\x32\x24"  # CommandReceipt.event_ids, field 6: 36 characters


def encode_outcome(event_ids: tuple[str, ...], error: FacadeError | None) -> bytes:
    """Serialize what is not in the row's own columns. Of an error it is reason, domain and metadata: the edge adds
    code and text."""
    if error is None:
        return (_EVENT_ID + _EVENT_ID.join(event_ids)).encode() if event_ids else b""
    outcome = command_pb2.CommandReceipt(event_ids=event_ids)
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=error.domain, metadata=dict(error.metadata))
    outcome.error.details.add().Pack(info)
    return outcome.SerializeToString()


def receipt_of(stored: StoredCommand, tokens: ConsistencyTokens) -> Receipt:
    """Return the receipt of a stored command."""
    outcome = command_pb2.CommandReceipt.FromString(stored.outcome)
    error = None
    if outcome.error.details:
        info = error_details_pb2.ErrorInfo()
        outcome.error.details[0].Unpack(info)
        error = StoredError(info.reason, info.domain, dict(info.metadata))
    return Receipt(
        request_id=stored.key.request_id,
        stage=Stage(stored.status.value),
        aggregate_id=stored.aggregate.aggregate_id,
        aggregate_version=stored.version if stored.status is CommandStatus.EXECUTED else Version(0),
        position=stored.position,
        token=tokens.make(stored.position) if stored.status is CommandStatus.EXECUTED else "",
        event_ids=tuple(outcome.event_ids),
        error=error,
    )


def accepted_receipt(request_id: str, aggregate_id: str) -> Receipt:
    """Return the receipt of a command that is stored and not executed."""
    return Receipt(request_id=request_id, stage=Stage.ACCEPTED, aggregate_id=aggregate_id, position=Position(0))
