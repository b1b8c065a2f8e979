"""Short forms of what most tests do first."""

from uuid import uuid4

from google.protobuf.message import Message

from comby.server.application.admission import partition_of
from comby.server.application.event_codec import encode_context
from comby.server.application.requests import Stage
from comby.server.application.same_command import fingerprint
from comby.server.domain.context import RequestContext
from comby.server.domain.identity import DEFAULT_TENANT, AggregateKey, CommandKey
from comby.server.ports.command_store import NewCommand
from tests.contract.facade.driver import Driver, Sent, Told
from tests.domains.bank.v1.bank_pb2 import Account, Deposit, GetAccount, OpenAccount


def new_id() -> str:
    """Return a UUID for a request or an aggregate."""
    return str(uuid4())


def stored(command: Message, account_id: str) -> NewCommand:
    """Return a command as another process stores it."""
    aggregate = AggregateKey(DEFAULT_TENANT, "Bank", account_id)
    payload, kind = command.SerializeToString(), f"Bank.{command.DESCRIPTOR.name}"
    return NewCommand(
        key=CommandKey(DEFAULT_TENANT, new_id()),
        aggregate=aggregate,
        partition=partition_of(aggregate),
        fingerprint=fingerprint(kind, payload, "", None, None),
        type=kind,
        command=payload,
        context=encode_context(RequestContext()),
        expected_version=None,
        not_before=None,
    )


async def opened(driver: Driver, *, balance: int = 0, owner: str = "ada", tenant: str = DEFAULT_TENANT) -> str:
    """Open an account, with money in it, and return its id."""
    receipt = await driver.dispatch(Sent(command=OpenAccount(owner=owner), tenant=tenant))
    assert Stage.EXECUTED == receipt.stage
    if balance:
        await driver.dispatch(Sent(command=Deposit(account_id=receipt.aggregate_id, amount=balance), tenant=tenant))
    return receipt.aggregate_id


async def account(driver: Driver, account_id: str, *, tenant: str = DEFAULT_TENANT) -> Account:
    """Ask for an account."""
    return await driver.ask(GetAccount(account_id=account_id), Account, tenant=tenant)


def sent(command: Message, **options: object) -> Sent:
    """Return a command to send under a new request id."""
    return Sent(**{"command": command, "request_id": new_id(), **options})  # type: ignore[arg-type]


async def executed(driver: Driver, command: Message) -> Told:
    """Dispatch a command and see it executed."""
    receipt = await driver.dispatch(sent(command))
    assert (Stage.EXECUTED, "") == (receipt.stage, receipt.reason)
    return receipt
