"""How far a command has come, and how far a caller waits."""

from enum import StrEnum
from typing import Literal, TypeAlias

from comby.facade.v1 import command_pb2


class Stage(StrEnum):
    """How far a command has come; `REJECTED` and `CANCELLED` are final, `PARKED` until an operator acts."""

    ACCEPTED = "accepted"
    EXECUTED = "executed"
    PROJECTED = "projected"
    REJECTED = "rejected"
    PARKED = "parked"
    CANCELLED = "cancelled"


Wait: TypeAlias = Literal["accepted", "executed", "projected", Stage.ACCEPTED, Stage.EXECUTED, Stage.PROJECTED]
"""The stage to wait for."""

_TO_WIRE = {
    Stage.ACCEPTED: command_pb2.COMMAND_STAGE_ACCEPTED,
    Stage.EXECUTED: command_pb2.COMMAND_STAGE_EXECUTED,
    Stage.PROJECTED: command_pb2.COMMAND_STAGE_PROJECTED,
    Stage.REJECTED: command_pb2.COMMAND_STAGE_REJECTED,
    Stage.PARKED: command_pb2.COMMAND_STAGE_PARKED,
    Stage.CANCELLED: command_pb2.COMMAND_STAGE_CANCELLED,
}
_FROM_WIRE = {number: stage for stage, number in _TO_WIRE.items()}
_PROGRESS = (Stage.ACCEPTED, Stage.EXECUTED, Stage.PROJECTED)


def to_wire(stage: Wait | Stage) -> command_pb2.CommandStage.ValueType:
    return _TO_WIRE[Stage(stage)]


def from_wire(number: command_pb2.CommandStage.ValueType) -> Stage | None:
    """Return the stage; None for an unspecified one, or one of a newer server."""
    return _FROM_WIRE.get(number)


def covers(reached: Stage, wanted: Wait) -> bool:
    """Whether waiting for `wanted` is over: it was reached, or never will be."""
    return reached not in _PROGRESS or _PROGRESS.index(reached) >= _PROGRESS.index(Stage(wanted))
