"""What a subscription tells of itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from comby.client._outcome import CombyError
from comby.facade.v1 import context_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Which event log it is, and which life of it: positions are of one log only."""

    log_id: str
    incarnation: str

    @classmethod
    def from_wire(cls, log: context_pb2.LogIdentity) -> "Log":
        return cls(log_id=log.log_id, incarnation=log.incarnation)

    def to_wire(self) -> context_pb2.LogIdentity:
        return context_pb2.LogIdentity(log_id=self.log_id, incarnation=self.incarnation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """The server confirmed the subscription."""

    subscription_id: str
    log: Log
    head: int
    """The log's last position at that moment."""
    after: int
    """Where the subscription starts, exclusive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaughtUp:
    """History is handled up to `position`; what follows is live."""

    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Nothing that matches lies before `position`: it is safe to resume after it."""

    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """The stream broke or said goodbye; it is opened again after `retry_in` seconds."""

    error: CombyError
    retry_in: float


Status: TypeAlias = Connected | CaughtUp | Checkpoint | Disconnected
OnStatus: TypeAlias = Callable[[Status], None]
