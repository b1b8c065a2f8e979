"""Rows of the free read model: every aggregate's state, as it is written with each commit and refreshed after a change of its fold."""

from google.protobuf.message import Message

from comby.server.application.contract import AggregateType
from comby.server.application.indexing import index
from comby.server.domain.identity import AggregateKey, Version
from comby.server.ports.read_model_store import PutRow


def state_row(kind: AggregateType, key: AggregateKey, version: Version, state: Message, data: bytes) -> PutRow:
    """Return the row of a state; `data` is the state serialized."""
    return PutRow(kind.model, key.tenant_id, key.aggregate_id, data, index(state, kind.indexed), kind.stamp, version)
