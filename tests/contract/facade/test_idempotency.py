"""One request id, one effect: however often it is sent, in whatever bytes, before and after a restart."""

import asyncio
from dataclasses import replace

import pytest

from comby.server import RequestContext
from comby.server.application.errors import RequestIdReused
from comby.server.application.limits import Limits
from comby.server.application.requests import CommandRequest, Stage
from tests.contract.facade.bank_calls import account, executed, new_id, opened, sent
from tests.contract.facade.conftest import DURABLE, STORES, Serve, Service
from tests.contract.facade.driver import Refused, Sent
from tests.domains.bank.v1.bank_pb2 import CloseAccount, Deposit, DepositAtGate, OpenAccount, Withdraw

LATER = 2**52
"""Microseconds since 1970: later than any test runs."""


@pytest.mark.parametrize("wait", [Stage.ACCEPTED, Stage.EXECUTED, Stage.PROJECTED])
async def test_the_same_command_again_gets_the_same_receipt(service: Service, wait: Stage) -> None:
    account_id = await opened(service.driver)
    command = sent(Deposit(account_id=account_id, amount=1), wait=wait)

    await service.driver.dispatch(command)
    first = await service.driver.wait(command.request_id, Stage.PROJECTED)
    again = [await service.driver.dispatch(replace(command, wait=Stage.PROJECTED)) for _ in range(3)]

    assert [first] * 3 == again
    assert (2, 1) == (first.version, (await account(service.driver, account_id)).balance)


async def test_a_refusal_is_remembered_too(service: Service) -> None:
    account_id = await opened(service.driver)
    command = sent(Withdraw(account_id=account_id, amount=5))
    first = await service.driver.dispatch(command)
    await executed(service.driver, Deposit(account_id=account_id, amount=10))

    again = await service.driver.dispatch(command)

    assert (Stage.REJECTED, "INSUFFICIENT_FUNDS") == (first.stage, first.reason)
    assert first == again
    assert 10 == (await account(service.driver, account_id)).balance


@pytest.mark.parametrize("wait", [Stage.ACCEPTED, Stage.EXECUTED])
async def test_ten_at_once_are_one(service: Service, wait: Stage) -> None:
    account_id = await opened(service.driver)
    for _ in range(10):
        command = sent(Deposit(account_id=account_id, amount=1), wait=wait)
        create = sent(OpenAccount(owner="bob"), wait=wait)
        receipts = await asyncio.gather(*(service.driver.dispatch(one) for one in [command, create] * 10))
        assert 2 == len({(one.request_id, one.aggregate_id) for one in receipts})
        if wait is Stage.EXECUTED:
            assert 2 == len({one.event_ids for one in receipts})
        await service.driver.wait(command.request_id, Stage.EXECUTED)

    assert 10 == (await account(service.driver, account_id)).balance


async def test_another_command_under_the_id_is_refused_and_the_first_stands(service: Service) -> None:
    account_id = await opened(service.driver)
    first = sent(Deposit(account_id=account_id, amount=1))
    receipt = await service.driver.dispatch(first)

    for other in (
        replace(first, command=Deposit(account_id=account_id, amount=2)),
        replace(first, command=Withdraw(account_id=account_id, amount=1)),
        replace(first, command=Deposit(account_id=new_id(), amount=1)),
        replace(first, expected_version=1),
        replace(first, not_before=LATER),
    ):
        with pytest.raises(Refused) as refused:
            await service.driver.dispatch(other)
        assert ("REQUEST_ID_REUSED", {"request_id": first.request_id}) == (
            refused.value.reason,
            refused.value.metadata,
        )
    assert receipt == await service.driver.dispatch(first)
    assert 1 == (await account(service.driver, account_id)).balance


@pytest.mark.parametrize(
    "store", list(STORES), indirect=True
)  # a partition that moves meanwhile makes the first wait longer
async def test_another_command_under_the_id_of_one_at_work_is_refused(service: Service) -> None:
    """Also while nothing of the first is stored yet; nothing of the first is told."""
    account_id = await opened(service.driver)
    gate = service.controls.gate("slow")
    first = sent(DepositAtGate(account_id=account_id, gate="slow", amount=1))
    call = asyncio.ensure_future(service.driver.dispatch(first))
    await gate.reached()

    for wait in (Stage.EXECUTED, Stage.ACCEPTED):
        with pytest.raises(Refused) as refused:
            await service.driver.dispatch(
                replace(first, command=Deposit(account_id=new_id(), amount=2), wait=wait, wait_timeout=0.05)
            )
        assert ("REQUEST_ID_REUSED", {"request_id": first.request_id}) == (
            refused.value.reason,
            refused.value.metadata,
        )
    gate.open()

    assert Stage.EXECUTED == (await call).stage
    assert (1, 1) == ((await account(service.driver, account_id)).balance, gate.arrivals)


async def test_another_actor_is_refused(service: Service) -> None:
    """An actor comes from the caller's certificate, so this is asked of the facade itself."""
    account_id = await opened(service.driver)
    request_id = new_id()

    def deposit(actor: str) -> CommandRequest:
        return CommandRequest(
            type=Deposit.DESCRIPTOR.full_name,
            payload=Deposit(account_id=account_id, amount=1).SerializeToString(),
            context=RequestContext(actor_id=actor),
            request_id=request_id,
            wait=Stage.EXECUTED,
        )

    first = await service.facade.dispatch_command(deposit("ada"))
    with pytest.raises(RequestIdReused):
        await service.facade.dispatch_command(deposit("bob"))
    assert first == await service.facade.dispatch_command(deposit("ada"))


async def test_equal_messages_in_other_bytes_are_the_same_command(service: Service) -> None:
    """The order of a map's entries, a default that is written out, and fields in another order mean the same."""
    labels = {"a": "1", "b": "2", "c": "3"}
    pieces = [OpenAccount(labels={key: value}).SerializeToString() for key, value in labels.items()]
    owner = OpenAccount(owner="ada").SerializeToString()
    forms = [
        owner + b"".join(pieces),
        owner + b"".join(reversed(pieces)),
        b"".join(pieces) + b"\x18\x00" + owner,  # tier = 0, written out
    ]
    command = sent(OpenAccount(owner="ada", labels=labels))

    receipts = [await service.driver.dispatch(replace(command, payload=form)) for form in forms]
    at_once = sent(OpenAccount(owner="ada", labels=labels))
    together = await asyncio.gather(*(service.driver.dispatch(replace(at_once, payload=form)) for form in forms))

    assert [receipts[0]] * 3 == receipts
    assert [together[0]] * 3 == together
    assert Stage.EXECUTED == receipts[0].stage


async def test_the_same_id_in_another_tenant_is_another_command(service: Service) -> None:
    mine = sent(OpenAccount(owner="ada"))
    theirs = replace(mine, tenant="other", command=OpenAccount(owner="bob"))

    receipts = [await service.driver.dispatch(one) for one in (mine, theirs)]

    assert [Stage.EXECUTED] * 2 == [one.stage for one in receipts]
    assert set(receipts[0].event_ids).isdisjoint(receipts[1].event_ids)
    with pytest.raises(Refused, match="COMMAND_NOT_FOUND"):
        await service.driver.get(mine.request_id, tenant="third")
    assert receipts[0] == await service.driver.dispatch(mine)


@pytest.mark.parametrize("store", DURABLE, indirect=True)
async def test_ids_are_remembered_across_a_restart(serve: Serve) -> None:
    async with serve() as service:
        account_id = await opened(service.driver)
        commands = [
            sent(Deposit(account_id=account_id, amount=1)),
            sent(Withdraw(account_id=account_id, amount=100)),
            sent(OpenAccount(owner="bob")),
        ]
        before = [await service.driver.dispatch(one) for one in commands]

    async with serve() as again:
        after = [await again.driver.dispatch(one) for one in commands]
        with pytest.raises(Refused, match="REQUEST_ID_REUSED"):
            await again.driver.dispatch(replace(commands[0], command=CloseAccount(account_id=account_id)))
        balance = (await account(again.driver, account_id)).balance

    assert before == after
    assert 1 == balance


@pytest.mark.parametrize("store", list(STORES), indirect=True)  # among several instances a bound is exact to a second
async def test_a_command_that_fails_a_bound_leaves_its_id_free(serve: Serve) -> None:
    async with serve(limits=Limits(open_commands_per_tenant=1)) as service:
        gate = service.controls.gate("shut")
        account_id = await opened(service.driver)
        await service.driver.dispatch(sent(DepositAtGate(account_id=account_id, gate="shut"), wait=Stage.ACCEPTED))
        command = sent(OpenAccount(owner="bob"))
        with pytest.raises(Refused, match="OVERLOADED"):
            await service.driver.dispatch(command)
        gate.open()
        while True:
            try:
                receipt = await service.driver.dispatch(Sent(command=command.command, request_id=command.request_id))
                break
            except Refused:
                await asyncio.sleep(0.001)

    assert Stage.EXECUTED == receipt.stage
