"""A wrong contract is refused, with file, line, what is wrong and what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import pytest
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorResponse

Respond: TypeAlias = Callable[[dict[str, str]], CodeGeneratorResponse]

FILE = "bank/account/v1/account.proto"


@dataclass(frozen=True, kw_only=True)
class Case:
    """How the right contract is made wrong, and what is said of it."""

    id: str
    old: str
    new: str
    at: str  # a part of the line that is named
    said: str


SECOND_AGGREGATE = "message Loan { option (comby.options.v1.aggregate) = {}; string owner = 1; }\n"

CASES = [
    Case(
        id="command_rpc_without_receipt",
        old="rpc OpenAccount(bank.account.v1.OpenAccount) returns (comby.facade.v1.CommandReceipt)",
        new="rpc OpenAccount(bank.account.v1.OpenAccount) returns (Account)",
        at="rpc OpenAccount",
        said="rpc OpenAccount takes the command OpenAccount and returns bank.account.v1.Account; "
        "return comby.facade.v1.CommandReceipt",
    ),
    Case(
        id="rpc_input_neither_command_nor_query",
        old="  option (comby.options.v1.query) = {};\n",
        new="",
        at="rpc GetAccount",
        said="rpc GetAccount takes GetAccount, which is neither a command nor a query; "
        "add option (comby.options.v1.command) = {} or (comby.options.v1.query) = {} to it",
    ),
    Case(
        id="rpc_named_unlike_its_command",
        old="rpc OpenAccount",
        new="rpc Open",
        at="rpc Open",
        said="rpc Open takes the command OpenAccount; "
        "name it OpenAccount, as every command's rpc has its message's name",
    ),
    Case(
        id="event_of_several_aggregates",
        old="message GetAccount",
        new=SECOND_AGGREGATE + "message GetAccount",
        at="message AccountOpened",
        said="the event AccountOpened could belong to each of Account, Loan; "
        'add aggregate: "Account" (or another) to its option',
    ),
    Case(
        id="command_of_several_aggregates",
        old="message GetAccount",
        new=SECOND_AGGREGATE + "message GetAccount",
        at="message OpenAccount",
        said="the command OpenAccount could belong to each of Account, Loan; "
        'add aggregate: "Account" (or another) to its option',
    ),
    Case(
        id="event_claimed_twice",
        old="message GetAccount",
        new='message AccountBegun { option (comby.options.v1.event) = {aliases: ["Account.AccountOpened"]}; }\n'
        "message GetAccount",
        at="message AccountBegun",
        said="Account.AccountOpened is claimed by bank.account.v1.AccountBegun and, at "
        "bank/account/v1/account.proto:21, by bank.account.v1.AccountOpened; rename one of them, or drop the alias",
    ),
    Case(
        id="aggregate_that_is_none",
        old="(comby.options.v1.event) = {}",
        new='(comby.options.v1.event) = {aggregate: "Loan"}',
        at="message AccountOpened",
        said="the event AccountOpened names the aggregate 'Loan', which Account does not have; name one of Account",
    ),
    Case(
        id="domain_without_aggregate",
        old='  option (comby.options.v1.aggregate) = {indexed: ["owner"]};\n',
        new="",
        at="message AccountOpened",
        said="the event AccountOpened has no aggregate, for the domain Account has none; "
        "mark the message of the state with option (comby.options.v1.aggregate) = {}",
    ),
    Case(
        id="command_without_aggregate_id",
        old=" [(comby.options.v1.aggregate_id) = true]",
        new="",
        at="message OpenAccount",
        said="the command OpenAccount has no aggregate id; "
        "mark its string field with [(comby.options.v1.aggregate_id) = true]",
    ),
    Case(
        id="command_with_several_aggregate_ids",
        old="  string owner = 2;\n}\nmessage AccountOpened",
        new="  string owner = 2 [(comby.options.v1.aggregate_id) = true];\n}\nmessage AccountOpened",
        at="message OpenAccount",
        said="the command OpenAccount has several aggregate ids, account_id and owner; mark one field only",
    ),
    Case(
        id="aggregate_id_that_is_no_string",
        old="string account_id = 1 [",
        new="int64 account_id = 1 [",
        at="account_id = 1 [",
        said="the aggregate id account_id of OpenAccount is no string; make it a singular string, which holds a UUID",
    ),
    Case(
        id="aggregate_id_that_is_repeated",
        old="string account_id = 1 [",
        new="repeated string account_id = 1 [",
        at="account_id = 1 [",
        said="the aggregate id account_id of OpenAccount is no string; make it a singular string, which holds a UUID",
    ),
    *(
        Case(
            id=f"{word}_without_domain",
            old='option (comby.options.v1.domain) = {name: "Account"};\n',
            new="\n",
            at=f"message {name} ",
            said=f'the {word} {name} has no domain; add option (comby.options.v1.domain) = {{name: "..."}} to the file',
        )
        for word, name in (
            ("aggregate", "Account"),
            ("command", "OpenAccount"),
            ("event", "AccountOpened"),
            ("query", "GetAccount"),
        )
    ),
    Case(
        id="domain_name_of_other_grammar",
        old='{name: "Account"}',
        new='{name: "bank-account"}',
        at="(comby.options.v1.domain)",
        said="the domain name 'bank-account' is not [A-Z][A-Za-z0-9]*; "
        "begin with a capital letter and use letters and digits only",
    ),
    Case(
        id="indexed_field_that_is_none",
        old='["owner"]',
        new='["holder"]',
        at="message Account ",
        said="indexed names 'holder', which is no field of Account; name a field of it",
    ),
    Case(
        id="indexed_field_that_is_no_scalar",
        old='["owner"]',
        new='["tags"]',
        at="repeated string tags",
        said="indexed names 'tags', which is not a singular scalar; "
        "index singular numbers, strings, bools and enums only",
    ),
    Case(
        id="client_streaming",
        old="rpc GetAccount(bank",
        new="rpc GetAccount(stream bank",
        at="rpc GetAccount",
        said="rpc GetAccount streams its requests; "
        "take one message (FacadeService.DispatchCommands pipelines many commands)",
    ),
    Case(
        id="streaming_command",
        old="returns (comby",
        new="returns (stream comby",
        at="rpc OpenAccount",
        said="rpc OpenAccount takes the command OpenAccount and streams its answer; drop `stream`",
    ),
    Case(
        id="two_kinds",
        old="(comby.options.v1.event) = {};",
        new="(comby.options.v1.event) = {}; option (comby.options.v1.query) = {};",
        at="message AccountOpened",
        said="AccountOpened is marked as query and event; keep one of the options",
    ),
    Case(
        id="nested",
        old="  string owner = 1;\n}\nmessage GetAccount",
        new="  string owner = 1;\n  message Inner { option (comby.options.v1.event) = {}; }\n}\nmessage GetAccount",
        at="message Inner",
        said="the event Inner is nested; move it to the top level of the file",
    ),
]


def line_of(text: str, part: str) -> int:
    """Return the number of the first line that holds `part`."""
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_wrong_contract_is_refused(case: Case, right: str, respond: Respond) -> None:
    assert case.old in right
    text = right.replace(case.old, case.new, 1)
    response = respond({FILE: text})

    assert f"{FILE}:{line_of(text, case.at)}: {case.said}" in response.error.splitlines()
    assert not response.file


def test_two_domains_in_one_package_are_refused(right: str, respond: Respond) -> None:
    other = 'syntax = "proto3";\npackage bank.account.v1;\nimport "comby/options/v1/options.proto";\n'
    other += 'option (comby.options.v1.domain) = {name: "Ledger"};\n'
    response = respond({FILE: right, "bank/account/v1/ledger.proto": other})
    assert response.error == (
        "bank/account/v1/ledger.proto:4: the package bank.account.v1 is the domain Account in "
        "bank/account/v1/account.proto and Ledger here; give every file of a package the same domain name"
    )


def test_an_event_of_two_packages_is_refused(right: str, respond: Respond) -> None:
    other = right.replace("bank.account.v1", "bank.ledger.v1")
    response = respond({FILE: right, "bank/ledger/v1/ledger.proto": other})
    expected = (
        "bank/ledger/v1/ledger.proto:21: Account.AccountOpened is claimed by bank.ledger.v1.AccountOpened and, at "
        "bank/account/v1/account.proto:21, by bank.account.v1.AccountOpened; rename one of them, or drop the alias"
    )
    assert expected in response.error.splitlines()


def test_every_broken_rule_is_told_at_once(right: str, respond: Respond) -> None:
    text = right.replace("(comby.options.v1.aggregate_id) = true", "deprecated = true").replace(
        '"Account"', '"account"'
    )
    assert len(respond({FILE: text}).error.splitlines()) == 2


def test_a_right_contract_is_not_refused(right: str, respond: Respond) -> None:
    response = respond({FILE: right})
    assert response.error == ""
    assert [f.name for f in response.file] == ["bank/account/v1/account_types.py", "bank/account/v1/account_client.py"]


def test_a_service_without_a_domain_is_left_alone(respond: Respond) -> None:
    text = 'syntax = "proto3";\npackage other.v1;\nmessage Ping {}\nservice Other { rpc Do(Ping) returns (Ping); }\n'
    response = respond({"other/v1/other.proto": text})
    assert response.error == ""
    assert list(response.file) == []
