"""Row D1 in its long form: the hostile bytes of the edge's tests, ten times as many."""

import asyncio
import os
import sys

import pytest

from tests.reliability.conftest import SEED
from tests.reliability.trial_server import ROOT

MESSAGES = 100_000
TEST = "tests/integration/edge/test_hostile.py::test_mutated_and_random_bytes_into_every_method"


@pytest.mark.long
async def test_d1_a_hundred_thousand_mutated_and_random_messages(seed: int) -> None:
    """The process lives and answers with documented codes only, never UNKNOWN or INTERNAL. The short form runs with the edge."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", TEST),
        cwd=ROOT,
        env={**os.environ, "COMBY_TEST_HOSTILE_MESSAGES": str(MESSAGES), SEED: str(seed)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert 0 == process.returncode, output.decode()
    print(f"D1 (long, seed {seed}): messages {MESSAGES}, UNKNOWN or INTERNAL 0")
