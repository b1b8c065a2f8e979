"""`make demo` tells its story to the end."""

import asyncio
import sys


async def test_the_story_ends_well() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "shop.demo"), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await asyncio.wait_for(process.communicate(), 90)
    story = output.decode()
    assert 0 == process.returncode, story + errors.decode()
    for sentence in (
        "refused: Order WRONG_AMOUNT {'total_cents': '2100'}",
        "the order is shipped, parcel PARCEL-1",
        "Bob's order is cancelled: OUT_OF_STOCK",
        "one order: True",
        "40 of 40 are executed",
        "events without a gap: True",
        "in order, over the crash: True",
        "» The end.",
    ):
        assert sentence in story
