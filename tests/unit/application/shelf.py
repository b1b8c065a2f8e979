"""A small domain made on the spot, and what is registered of it."""

from collections.abc import Callable
from types import GenericAlias
from typing import Any

import pytest
from google.protobuf.message import Message

from comby.server import (
    Aggregate,
    CommandHandlers,
    QueryHandlers,
    RegistrationRefused,
    answers,
    applies,
    handles,
)
from comby.server.application.registration import Registration
from comby.server.application.sealing import seal
from tests.unit.application.contracts import Contract

Made = dict[str, type[Message]]
Register = Callable[[Registration, Made], None]


def book(made: Made, *, handled: bool = True, applied: bool = True, name: str = "Book") -> type[Aggregate[Any]]:
    """Return an aggregate that handles WriteBook and applies BookWritten, where they exist."""
    body: dict[str, Any] = {"__slots__": (), "__orig_bases__": (GenericAlias(Aggregate, (made[name],)),)}
    if handled and "WriteBook" in made:
        body["write"] = handles(made["WriteBook"])(lambda self, command: None)
    if applied and "BookWritten" in made:
        body["written"] = applies(made["BookWritten"])(lambda self, event: None)
    return type("BookAggregate", (Aggregate,), body)


def shelf(contract: Contract | None = None) -> Contract:
    """Return a contract that is right."""
    contract = contract or Contract()
    contract.aggregate()
    contract.command()
    contract.event()
    return contract


def sealed(contract: Contract, register: Register) -> Registration:
    made = contract.build()
    registration = Registration()
    register(registration, made)
    seal(registration.registry)
    return registration


def refused(contract: Contract, register: Register) -> str:
    with pytest.raises(RegistrationRefused) as error:
        sealed(contract, register)
    return str(error.value)


def the_book(registration: Registration, made: Made) -> None:
    registration.register(book(made))


def handlers_of(made: Made, name: str = "WriteBook") -> type[CommandHandlers]:
    async def handle(self: object, command: object, context: object) -> None: ...

    handle.__name__ = "handle"
    return type("Handlers", (CommandHandlers,), {"handle": handles(made[name])(handle)})


def answers_of(made: Made, name: str = "GetBook", reads: tuple[Any, ...] = ()) -> type[QueryHandlers]:
    async def answer(self: object, query: object, context: object) -> Message:
        raise NotImplementedError

    return type("Answers", (QueryHandlers,), {"answer": answers(made[name])(answer), "reads": reads})
