"""Two instances that have one name, as those of cloned machines do that listen at one address each."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from comby.server.application.admission import PARTITIONS
from comby.server.application.shared_ownership import NOBODY, SharedOwnership, ThisInstance
from comby.server.bootstrap import open_store
from tests.contract.facade.bank_calls import new_id
from tests.integration.instances.conftest import LIMITS

NAME = "localhost/0.0.0.0:50051"


@asynccontextmanager
async def joined(url: str, *, address: str = "") -> AsyncIterator[SharedOwnership]:
    """Let an instance of the name own its share."""
    async with open_store(url) as store:
        assert store.instances is not None
        this = ThisInstance(instance_id=new_id(), name=NAME, address=address or new_id(), eligible=True, version="1")
        ownership = SharedOwnership(store.instances, this, LIMITS, [])
        await ownership.join(NOBODY)
        beating = asyncio.create_task(ownership.run())
        try:
            yield ownership
        finally:
            beating.cancel()
            with suppress(asyncio.CancelledError):
                await beating
            await ownership.leave()


async def test_both_own_their_share(url: str) -> None:
    """Seen failing: each took the other for one that had ended, and forgot it, again and again; nobody owned anything."""
    async with joined(url) as first, joined(url) as second, asyncio.timeout(30):
        while [len(one.partitions or ()) for one in (first, second)] != [PARTITIONS // 2, PARTITIONS // 2]:
            await asyncio.sleep(0.02)
        names = {one.name for one in first.membership.instances}
        assert {NAME, f"{NAME}#{first.this.instance_id}"} == names


async def test_one_that_starts_again_takes_the_place_of_the_one_that_has_ended(url: str) -> None:
    """It does not wait for its lease to end."""
    async with open_store(url) as store:
        assert store.instances is not None
        gone = ThisInstance(instance_id=new_id(), name=NAME, address=new_id(), eligible=True, version="1")
        ended = SharedOwnership(store.instances, gone, LIMITS, [])
        await ended.join(NOBODY)
        assert PARTITIONS == len(ended.partitions or ())
        async with joined(url) as again, asyncio.timeout(30):
            while len(again.partitions or ()) != PARTITIONS:
                await asyncio.sleep(0.02)
            assert [NAME] == [one.name for one in again.membership.instances]


async def test_nothing_is_forwarded_to_an_address_that_is_ones_own(url: str) -> None:
    """Seen failing: a command waited for itself until its wait was over."""
    async with (
        joined(url, address="0.0.0.0:1") as first,
        joined(url, address="0.0.0.0:1") as second,
        asyncio.timeout(30),
    ):
        while not (len(first.partitions or ()) == len(second.partitions or ()) == PARTITIONS // 2):
            await asyncio.sleep(0.02)
        assert {""} == {one.address_of(partition) for one in (first, second) for partition in range(PARTITIONS)}
