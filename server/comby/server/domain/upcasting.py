"""Upcasters: old events, made into what the present code understands, whenever they are read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

EventT = TypeVar("EventT", bound=Message)


@dataclass(frozen=True, slots=True)
class Upcaster(Generic[EventT]):
    """Turns an event of `revision` into one of the next."""

    event: type[EventT]
    revision: int
    function: Callable[[EventT], EventT]


def upcasts(event: type[EventT], *, revision: int) -> Callable[[Callable[[EventT], EventT]], Upcaster[EventT]]:
    """Make a function the upcaster from a revision to the next; register the result like an aggregate.

    The function gets the event as parsed by the present contract, fields of the old revision included as long as they
    are not reserved.
    """

    def make(function: Callable[[EventT], EventT]) -> Upcaster[EventT]:
        return Upcaster(event, revision, function)

    return make


AnyUpcaster = Upcaster[Any]
