"""An instance is told to end while its database says nothing any more: it ends in order, and in time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import grpc
import pytest

from comby.server.bootstrap import running
from comby.server.settings import Settings
from tests.contract.facade.bank_calls import opened, sent
from tests.contract.facade.driver import Refused
from tests.contract.facade.over_grpc import OverGrpc
from tests.cut_proxy import Proxy, proxied
from tests.domains.bank.app import bank
from tests.domains.bank.v1.bank_pb2 import Deposit
from tests.domains.controls import Controls
from tests.integration.instances.conftest import LIMITS

ENDING_SECONDS = 20.0
"""Long for an end, and much shorter than the wait for an answer of the database."""


@asynccontextmanager
async def served(url: str, controls: Controls, *, ending: AsyncExitStack) -> AsyncIterator[tuple[OverGrpc, Proxy]]:
    """Serve the bank over a way to its database that can be cut, until `ending` is closed."""
    place = urlsplit(url)
    async with proxied(place.port or 5432) as proxy:
        store = place._replace(netloc=f"{place.username}@127.0.0.1:{proxy.port}").geturl()
        settings = Settings(app="bank:app", listen="127.0.0.1:0", store=store, limits=LIMITS, shutdown_grace=1.0)
        server = await ending.enter_async_context(running(bank(controls), settings))
        async with grpc.aio.insecure_channel(server.address) as channel:
            yield OverGrpc(channel), proxy


async def test_it_ends_although_the_database_says_nothing_any_more(url: str, controls: Controls) -> None:
    """Seen failing: its end waited for the answer to a commit, 35 s, and the caller was told by the transport alone."""
    async with AsyncExitStack() as ending, served(url, controls, ending=ending) as (driver, proxy):
        account_id = await opened(driver)
        proxy.silent = True
        proxy.swallowed.clear()
        call = asyncio.create_task(driver.dispatch(sent(Deposit(account_id=account_id, amount=1))))
        await proxy.swallowed.wait()
        async with asyncio.timeout(ENDING_SECONDS):
            await ending.aclose()
        with pytest.raises(Refused, match="SHUTTING_DOWN"):
            await call
