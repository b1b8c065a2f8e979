"""All stores of one database, opened and closed together."""

from dataclasses import dataclass

from comby.server.ports.checkpoint_store import CheckpointStore
from comby.server.ports.command_store import CommandStore
from comby.server.ports.event_store import EventStore
from comby.server.ports.instance_store import InstanceStore
from comby.server.ports.read_model_store import ReadModelStore
from comby.server.ports.snapshot_store import SnapshotStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The ports onto one database, which share its transactions. `instances` is None where the store is made for one process."""

    events: EventStore
    commands: CommandStore
    snapshots: SnapshotStore
    checkpoints: CheckpointStore
    read_models: ReadModelStore
    instances: InstanceStore | None = None
