"""Subscribers in a process of their own, made to be killed: `TARGET FOLDER SPECIFICATIONS`, the last as JSON.

What one has handled is a line in its file. The line is the effect and the checkpoint at once, so no kill comes between.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TypedDict

from comby.client import Comby, SubscribeOptions, connect


class Specification(TypedDict):
    """A subscriber's name, and the counter whose increments it wants; all events when it is empty."""

    name: str
    counter_id: str


async def main(target: str, folder: Path, specifications: list[Specification]) -> None:
    """Handle events until killed."""
    async with connect(target) as comby, asyncio.TaskGroup() as group:
        for one in specifications:
            group.create_task(_handle(comby, folder / one["name"], one["counter_id"]))


def handled(file: Path) -> list[int]:
    """Return the positions that a subscriber has handled, in the order in which it has."""
    if not file.exists():
        return []
    return [int(line) for line in file.read_bytes().split(b"\n")[:-1]]


async def _handle(comby: Comby, file: Path, counter_id: str) -> None:
    before = handled(file)
    with file.open("ab") as notes:
        notes.truncate(sum(len(str(position)) + 1 for position in before))
        after = before[-1] if before else 0
        options: SubscribeOptions = {"after": after, "domains": ["Trial"]}
        if counter_id:
            options["aggregate_id"] = counter_id
        async for recorded in comby.subscribe(**options):
            os.write(notes.fileno(), b"%d\n" % recorded.position)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])))
