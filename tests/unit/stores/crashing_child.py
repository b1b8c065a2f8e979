"""A process to kill: commits batches for ever, and prints the request ids of each batch that is acknowledged.

python crashing_child.py URL SEED
"""

import asyncio
import random
import sys
import uuid

from comby.server.domain.identity import AggregateKey, CommandKey, Version
from comby.server.ports.command_store import CommandStatus, NewCommand
from comby.server.ports.event_store import Committed, FinishCommand, NewEvent, VersionCheck
from comby.server.stores.sqlite import open_sqlite


def finish(key: AggregateKey, version: int) -> FinishCommand:
    """Append two events to an aggregate at this version."""
    request_id = str(uuid.uuid4())
    command = NewCommand(
        key=CommandKey(key.tenant_id, request_id),
        aggregate=key,
        partition=0,
        fingerprint=b"f",
        type="Order.PlaceOrder",
        command=b"c",
        context=b"",
        expected_version=None,
        not_before=None,
    )
    events = tuple(
        NewEvent(key=key, version=Version(version + number), type="Order.Placed", request_id=request_id, record=b"r")
        for number in (1, 2)
    )
    return FinishCommand(
        command=command,
        status=CommandStatus.EXECUTED,
        outcome=b"",
        version=Version(version + 2),
        checks=(VersionCheck(key, Version(version)),),
        events=events,
    )


async def main(url: str, seed: int) -> None:
    chance = random.Random(seed)
    async with open_sqlite(url) as store:
        print("open", flush=True)
        keys = [AggregateKey("acme", "Order", f"o-{number}") for number in range(20)]
        versions = {key: (await store.events.version(key))[0] for key in keys}
        while True:
            batch = [finish(key, versions[key]) for key in chance.sample(keys, chance.randint(1, 20))]
            verdicts = await store.events.commit(batch)
            for write, verdict in zip(batch, verdicts, strict=True):
                assert isinstance(verdict, Committed)
                versions[write.checks[0].key] = write.version
            print(" ".join(write.events[0].request_id for write in batch), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
