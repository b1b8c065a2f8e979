"""A full disk refuses writes, keeps what was acknowledged, and is forgotten when there is room again."""

import subprocess
import sys
from pathlib import Path

CHILD = "tests.unit.stores.full_disk_child"


def test_writes_resume_when_there_is_room_again(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", CHILD, f"sqlite:///{tmp_path / 'store.db'}"], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout) == (0, "refused, read, and resumed\n"), run.stderr
    assert "the store failed" in run.stderr
    assert "secret" not in run.stderr
