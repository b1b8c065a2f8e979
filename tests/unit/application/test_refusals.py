"""Aggregates, commands, events and consumers that registration refuses, each by what it says."""

from types import GenericAlias
from typing import Any

import pytest

from comby.server import (
    Aggregate,
    Projection,
    Reactor,
    RegistrationRefused,
    handles,
    projects,
    reacts,
)
from comby.server.application.registration import Registration
from tests.unit.application.contracts import BYTES, DOUBLE, Contract
from tests.unit.application.shelf import Made, book, handlers_of, refused, sealed, shelf, the_book


def test_a_contract_that_is_right() -> None:
    registration = sealed(shelf(), the_book)

    assert ["Shelf"] == registration.registry.domains()
    assert 64 == len(registration.registry.digest)


@pytest.mark.parametrize("domain", [None, "", "shelf", "She.lf", "She lf", "S" * 65, "Shelf*", "Ш"])
def test_a_domain_without_a_name_or_with_a_wrong_one(domain: str | None) -> None:
    assert "needs a name such as Order" in refused(shelf(Contract(domain)), the_book)


def test_an_aggregate_whose_state_is_not_marked() -> None:
    contract = Contract()
    contract.message("Book", "title")

    assert "needs a state that is marked as an aggregate" in refused(contract, the_book)


def test_an_aggregate_without_a_state() -> None:
    with pytest.raises(RegistrationRefused, match="Stateless needs a state"):
        Registration().register(type("Stateless", (Aggregate,), {"__slots__": ()}))


def test_two_owners_of_one_aggregate() -> None:
    def twice(registration: Registration, made: Made) -> None:
        registration.register(book(made), book(made))

    assert "two aggregates: Shelf.Book" == refused(shelf(), twice)


@pytest.mark.parametrize(
    ("fields", "indexed", "options", "said"),
    [
        (("title",), ("pages",), {}, "indexes pages, which is not a singular"),
        (("many title",), ("title",), {}, "indexes title, which is not a singular"),
        (("title",), ("title",), {"type": BYTES}, "indexes title, which is not a singular"),
        (("title",), ("title",), {"type": DOUBLE}, "indexes title, which is not a singular"),
        (tuple("abcdefghi"), tuple("abcdefghi"), {}, "indexes 9 fields; at most 8"),
    ],
    ids=["unknown", "repeated", "bytes", "double", "too many"],
)
def test_fields_that_can_not_be_indexed(
    fields: tuple[str, ...], indexed: tuple[str, ...], options: dict[str, Any], said: str
) -> None:
    contract = Contract()
    contract.aggregate("Book", *fields, indexed=indexed, **options)

    assert said in refused(contract, the_book)


def test_a_command_that_nobody_handles() -> None:
    def without(registration: Registration, made: Made) -> None:
        registration.register(book(made, handled=False))

    assert refused(shelf(), without).endswith("WriteBook has no handler")


def test_a_command_with_a_handler_in_the_aggregate_and_one_beside() -> None:
    def both(registration: Registration, made: Made) -> None:
        registration.register(book(made), handlers_of(made))

    assert refused(shelf(), both).endswith("WriteBook has two handlers")


def test_a_command_with_two_handlers_beside() -> None:
    def both(registration: Registration, made: Made) -> None:
        registration.register(book(made, handled=False), handlers_of(made), handlers_of(made))

    assert refused(shelf(), both).startswith("two handlers of a command: made.")


def test_a_method_marked_twice_for_one_message() -> None:
    made = shelf().build()
    body = {
        "__orig_bases__": (GenericAlias(Aggregate, (made["Book"],)),),
        "one": handles(made["WriteBook"])(lambda self, command: None),
        "two": handles(made["WriteBook"])(lambda self, command: None),
    }

    with pytest.raises(TypeError, match="two methods are marked for"):
        type("BookAggregate", (Aggregate,), body)


@pytest.mark.parametrize("fields", [("book_id",), ("id book_id", "id other_id"), ("many id",)])
def test_a_command_without_one_aggregate_id(fields: tuple[str, ...]) -> None:
    contract = Contract()
    contract.aggregate()
    contract.command("WriteBook", *fields)

    assert "needs exactly one string field marked as aggregate_id" in refused(contract, the_book)


def test_a_handler_of_what_is_no_command() -> None:
    contract = shelf()
    contract.message("Remark", "id book_id")

    def remarks(registration: Registration, made: Made) -> None:
        registration.register(book(made), handlers_of(made, "Remark"))

    assert refused(contract, remarks).endswith("Remark is handled, and is no command")


def test_an_aggregate_that_handles_the_command_of_another() -> None:
    contract = Contract()
    contract.aggregate("Book")
    contract.aggregate("Map")
    contract.command(aggregate="Map")

    def wrong(registration: Registration, made: Made) -> None:
        registration.register(book(made), book(made, name="Map"))

    assert "handles made." in refused(contract, wrong)


def test_an_event_that_is_not_applied() -> None:
    def without(registration: Registration, made: Made) -> None:
        registration.register(book(made, applied=False))

    assert "BookAggregate has no applier for the event made." in refused(shelf(), without)


def test_an_applier_of_what_is_no_event() -> None:
    contract = Contract()
    contract.aggregate()
    contract.message("BookWritten", "title")

    assert refused(contract, the_book).endswith("BookWritten, which is no event of it")


def test_an_owner_that_is_not_there_or_not_named() -> None:
    nobody = Contract()
    nobody.aggregate()
    nobody.event(aggregate="Map")
    assert "names the aggregate Map, which Shelf does not have" in refused(nobody, the_book)

    unnamed = Contract()
    unnamed.aggregate("Book")
    unnamed.aggregate("Map")
    unnamed.event()

    def both(registration: Registration, made: Made) -> None:
        registration.register(book(made), book(made, name="Map", applied=False))

    assert "Shelf has 2 registered aggregates; register one" in refused(unnamed, both)


def test_two_events_of_one_name() -> None:
    contract = Contract()
    contract.aggregate()
    contract.event("BookWritten", aliases=("Shelf.BookWritten",))

    assert "two events: Shelf.BookWritten" == refused(contract, the_book)


@pytest.mark.parametrize("name", [None, "", "Board", "9lives", "a board", "a.board", "a" * 65, 7])
@pytest.mark.parametrize("kind", [Projection, Reactor])
def test_a_consumer_without_a_name_or_with_a_wrong_one(kind: type, name: object) -> None:
    consumer = type("Board", (kind,), {} if name is None else {"name": name})

    with pytest.raises(RegistrationRefused, match="Board needs a name such as order_board"):
        Registration().register(consumer)


@pytest.mark.parametrize(("kind", "what"), [(Projection, "projections"), (Reactor, "reactors")])
def test_two_consumers_of_one_name(kind: type, what: str) -> None:
    consumer = type("Board", (kind,), {"name": "board"})

    with pytest.raises(RegistrationRefused, match=f"two {what}: board"):
        Registration().register(consumer, consumer)


@pytest.mark.parametrize(("kind", "mark"), [(Projection, projects), (Reactor, reacts)])
def test_a_consumer_of_what_is_no_event(kind: Any, mark: Any) -> None:
    def consuming(registration: Registration, made: Made) -> None:
        async def on(self: object, recorded: object, context: object) -> None: ...

        body = {"name": "board", "row_type": made["Book"], "on": mark(made["WriteBook"])(on)}
        registration.register(book(made), type("Board", (kind,), body))

    assert refused(shelf(), consuming).startswith("board handles made.")


def test_a_projection_that_indexes_what_it_can_not() -> None:
    def indexing(registration: Registration, made: Made) -> None:
        body = {"name": "board", "row_type": made["Book"], "indexed": ("pages",)}
        registration.register(book(made), type("Board", (Projection,), body))

    assert "indexes pages, which is not a singular" in refused(shelf(), indexing)
