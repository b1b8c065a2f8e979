"""grpcurl as the tests run it."""

import json
import subprocess
from typing import Any

RUN_SECONDS = 30.0
DEADLINE_EXCEEDED = 64 + 4
"""grpcurl exits with 64 and the code of the status."""
INVALID_ARGUMENT = 64 + 3
FAILED_PRECONDITION = 64 + 9


class Grpcurl:
    """grpcurl on one address."""

    def __init__(self, program: str, address: str) -> None:
        self._program = program
        self._address = address

    def __call__(self, *arguments: str, flags: tuple[str, ...] = (), code: int = 0) -> str:
        """Run it and return what it printed: its errors where it is to fail at once."""
        ended = self._run(*arguments, flags=flags)
        assert code == ended.returncode, ended.stdout + ended.stderr
        return ended.stdout if code in (0, DEADLINE_EXCEEDED) else ended.stderr

    def call(self, method: str, message: dict[str, Any], *flags: str) -> Any:
        """Call a unary method and return its answer."""
        return json.loads(self(method, flags=("-d", json.dumps(message), *flags)))

    def refused(self, method: str, message: dict[str, Any], *flags: str, code: int) -> dict[str, Any]:
        """Call a unary method that refuses, and return the details of its error by type."""
        return _details(self(method, flags=("-d", json.dumps(message), *flags), code=code))

    def until(self, method: str, message: dict[str, Any], *flags: str, not_for: str) -> Any:
        """Call a unary method until it is no longer refused for this reason, and return its answer."""
        for _ in range(100):
            ended = self._run(method, flags=("-d", json.dumps(message), *flags))
            if ended.returncode == 0:
                return json.loads(ended.stdout)
            assert not_for == _details(ended.stderr)["ErrorInfo"]["reason"], ended.stderr
        raise AssertionError(f"{method} is still refused: {not_for}")

    def _run(self, *arguments: str, flags: tuple[str, ...]) -> "subprocess.CompletedProcess[str]":
        command = [self._program, "-plaintext", "-format-error", *flags, self._address, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)


def _details(told: str) -> dict[str, Any]:
    return {detail["@type"].rpartition(".")[2]: detail for detail in json.loads(told)["details"]}
