"""Queries and services that registration refuses, each by what it says."""

import pytest

from comby.server import (
    Projection,
    StateQueries,
)
from comby.server.application.registration import Registration
from tests.unit.application.contracts import Contract
from tests.unit.application.shelf import Made, answers_of, book, refused, shelf, the_book


def test_a_query_that_nobody_answers_or_two_do_or_that_is_none() -> None:
    def asked(contract: Contract) -> Contract:
        contract.query()
        return contract

    def twice(registration: Registration, made: Made) -> None:
        registration.register(book(made), answers_of(made), answers_of(made))

    def no_query(registration: Registration, made: Made) -> None:
        registration.register(book(made), answers_of(made, "WriteBook"))

    assert refused(asked(shelf()), the_book).endswith("GetBook has no handler")
    assert refused(asked(shelf()), twice).startswith("two handlers of a query: made.")
    assert refused(shelf(), no_query).endswith("WriteBook is answered, and is no query")


def test_a_query_that_reads_what_is_not_registered() -> None:
    contract = shelf()
    contract.query()

    def reading(registration: Registration, made: Made) -> None:
        board = type("Board", (Projection,), {"name": "board", "row_type": made["Book"]})
        registration.register(book(made), answers_of(made, reads=(board,)))

    assert refused(contract, reading).endswith("reads the projection board, which is not registered")


def test_an_rpc_that_is_neither_and_one_that_streams_otherwise() -> None:
    neither = shelf()
    neither.message("Remark", "text")
    neither.method("Say", "Remark", "Book")
    assert "Remark, which is neither a command nor a query here" in refused(neither, the_book)

    streaming = shelf()
    streaming.query()
    streaming.method("GetBook", "GetBook", "Book", streams=True)

    def answered(registration: Registration, made: Made) -> None:
        registration.register(book(made), answers_of(made))

    assert "differ in whether they stream" in refused(streaming, answered)


@pytest.mark.parametrize(
    ("fields", "said"),
    [(("one", "two"), "needs exactly one string field"), (("many one",), "needs exactly one string field")],
)
def test_state_queries_whose_id_is_not_clear(fields: tuple[str, ...], said: str) -> None:
    contract = shelf()
    contract.query("GetBook", *fields)

    def get(registration: Registration, made: Made) -> None:
        aggregate = book(made)
        registration.register(aggregate, StateQueries(aggregate, get=made["GetBook"]))

    assert said in refused(contract, get)


def test_state_queries_of_what_is_not_registered_or_can_not_be_listed() -> None:
    def listed(registration: Registration, made: Made) -> None:
        aggregate = book(made)
        registration.register(aggregate, StateQueries(aggregate, list=made["ListBooks"]))

    def unregistered(registration: Registration, made: Made) -> None:
        registration.register(book(made), StateQueries(book(made), get=made["ListBooks"]))

    for fields, said in ((("page_token",), "needs an rpc that answers one repeated field of Book"),):
        contract = shelf()
        contract.query("ListBooks", *fields)
        assert said in refused(contract, listed)
        contract = shelf()
        contract.query("ListBooks", *fields)
        assert "BookAggregate is not registered" in refused(contract, unregistered)
