"""Ownership: which partitions of commands and which duties this instance owns, and where the others are owned.

Safety does not rest on it: the store checks the epoch of every commit. It decides who executes, so that caches hit and order holds.
"""

from abc import ABC, abstractmethod

from comby.server.ports.event_store import Fence
from comby.server.ports.instance_store import Membership


class Ownership(ABC):
    """What the command pipeline and the consumers ask."""

    @property
    @abstractmethod
    def partitions(self) -> frozenset[int] | None:
        """The partitions that are owned; None for all, for good."""

    @abstractmethod
    def owns(self, partition: int) -> bool:
        """Tell whether commands of a partition are executed here."""

    @abstractmethod
    def owns_duty(self, duty: str) -> bool:
        """Tell whether a duty is done here."""

    @abstractmethod
    def fence(self, partition: int) -> Fence | None:
        """Return the fence for commands of a partition that is owned; None where there is nobody to be fenced from."""

    @abstractmethod
    def address_of(self, partition: int) -> str:
        """Return where the owner of a partition is reached; empty when that is not known, or is here."""

    @abstractmethod
    def suspicious(self, partition: int) -> bool:
        """Tell whether the owner before ended without giving the partition back, so that one of its commands may be to blame."""

    @property
    @abstractmethod
    def membership(self) -> Membership:
        """All instances and owners, as last read."""


class SoleOwnership(Ownership):
    """Of a process that has the log for itself."""

    @property
    def partitions(self) -> frozenset[int] | None:
        return None

    def owns(self, partition: int) -> bool:
        return True

    def owns_duty(self, duty: str) -> bool:
        return True

    def fence(self, partition: int) -> Fence | None:
        return None

    def address_of(self, partition: int) -> str:
        return ""

    def suspicious(self, partition: int) -> bool:
        return False

    @property
    def membership(self) -> Membership:
        return Membership((), {})
