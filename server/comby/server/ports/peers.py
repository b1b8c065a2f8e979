"""The other instances that serve the same log, as this one reaches them."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Generic, TypeVar

RequestT = TypeVar("RequestT")
ReceiptT = TypeVar("ReceiptT")


class PeerUnreachable(Exception):
    """The other instance did not answer, or is about to end: whether it has the command is not known."""


class Peers(ABC, Generic[RequestT, ReceiptT]):
    """Hands commands to their owners."""

    @abstractmethod
    async def dispatch(self, address: str, request: RequestT) -> ReceiptT:
        """Have a command dispatched by the instance at an address, with its verified context, and return the receipt of the stage reached.

        Raises what dispatching here would raise, or PeerUnreachable.
        """

    @abstractmethod
    def keep(self, addresses: Collection[str]) -> None:
        """Give up the instances at all other addresses: what they have not answered fails as PeerUnreachable."""
