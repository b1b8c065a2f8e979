"""The clients as the tests run them: programs that print one JSON object a line."""

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RUN_SECONDS = 90.0
END_SECONDS = 10.0
Line = dict[str, Any]


def run_client(command: Sequence[str], action: str, address: str, *flags: str) -> list[Line]:
    """Run a client to its end and return what it did; fails unless it succeeds."""
    ended = start_client(command, action, address, *flags)
    out, err = ended.communicate(timeout=RUN_SECONDS)
    assert ended.returncode == 0, f"{action} ended with {ended.returncode}:\n{out[-4000:]}\n{err[-4000:]}"
    return parse(out)


def start_client(command: Sequence[str], action: str, address: str, *flags: str) -> "subprocess.Popen[str]":
    """Start a client, whose output is piped."""
    return subprocess.Popen(
        [*command, action, "--target", address, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def parse(out: str) -> list[Line]:
    """Read JSON lines."""
    return [json.loads(line) for line in out.splitlines()]


def did(lines: Sequence[Line], *names: str) -> list[Line]:
    """Return the lines that tell of these doings."""
    return [line for line in lines if line["did"] in names]


class Follower:
    """A `follow` process of several subscribers, each with a journal that outlives it."""

    def __init__(self, command: Sequence[str], address: str, journals: Sequence[Path], *flags: str) -> None:
        self._command = [*command, "follow", "--target", address, *flags]
        for journal in journals:
            self._command += ["--journal", str(journal)]
        self._use(journals)

    def _use(self, journals: Sequence[Path]) -> None:
        self._log = journals[0].with_suffix(".log")
        self.journals = journals
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or start it again: it goes on where its journals end."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=os.environ
            )

    def kill(self) -> None:
        """Kill it in the middle of whatever it does."""
        process = self._running()
        process.kill()
        assert process.wait(END_SECONDS) == -signal.SIGKILL, f"it had ended before:\n{self.log()}"

    def close(self) -> None:
        """End it, whatever its state."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(END_SECONDS)

    def ended(self) -> int:
        """Wait until it ends by itself, and return its exit code."""
        return self._running().wait(END_SECONDS)

    def log(self) -> str:
        """Return what it printed."""
        return self._log.read_text(errors="replace")

    def _running(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None
        return self._process


class Consumer(Follower):
    """A consumer that lives on the broker, with one journal that outlives it."""

    def __init__(self, command: Sequence[str], broker: str, journal: Path, *flags: str) -> None:
        self._command = [*command, "--broker", broker, "--durable", journal.name, "--journal", str(journal), *flags]
        self._use([journal])


def position_of(journal: Path) -> int:
    """Return how far a journal has come."""
    return max((entry["position"] for entry in entries(journal)), default=0)


def handled(journal: Path) -> list[tuple[int, str]]:
    """Return position and type of the events in a journal, in the order in which they were handled."""
    return [(entry["position"], entry["type"]) for entry in entries(journal) if "type" in entry]


def entries(journal: Path) -> list[Line]:
    """Read the whole lines of a journal."""
    if not journal.exists():
        return []
    whole, _, _ = journal.read_text().rpartition("\n")
    return parse(whole)
