"""Walks through a document as a reader would: in one folder, with one server, block after block."""

import asyncio
import os
import re
import shlex
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from tests.docs.documents import Block

ADDRESS = re.compile(r"\b(?:localhost|127\.0\.0\.1):50051\b")
SHOP = "comby serve --app shop.app:app --store sqlite://:memory:"
BLOCK_SECONDS = 60.0


class Walk:
    """One reader. `end` ends the server that is left."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._here = folder
        self._server: asyncio.subprocess.Process | None = None
        self._address = f"127.0.0.1:{_free_port()}"

    async def step(self, block: Block) -> str:
        """Do what a block says, and return what it printed. Raises AssertionError when it fails."""
        if block.action.startswith("file="):
            file = self._here / block.action.removeprefix("file=")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, "utf-8")
            return ""
        if block.action == "serve":
            await self.serve(block.text.strip())
            return ""
        if block.language == "python":
            return await self._run([sys.executable, "-W", "error", "-"], self._placed(block.text))
        assert "sh" == block.language, f"line {block.line}: {block.language} can not be run"
        end = self._folder / ".where"
        script = f"{self._placed(block.text)}\npwd > {shlex.quote(str(end))}\n"
        output = await self._run(["bash", "-euo", "pipefail", "-c", script], "")
        self._here = Path(end.read_text().strip())
        return output

    async def serve(self, command: str = SHOP) -> None:
        """Start a server at this walk's own address, and wait until it serves."""
        await self.end()
        words = [*shlex.split(command), "--listen", self._address]
        self._server = await asyncio.create_subprocess_exec(
            *words, cwd=self._here, env=self._environment(), stdout=asyncio.subprocess.PIPE
        )
        assert self._server.stdout is not None
        line = (await asyncio.wait_for(self._server.stdout.readline(), 30)).decode()
        assert line.startswith("comby serving "), line

    async def end(self) -> None:
        """End the server, as Ctrl-C would."""
        server, self._server = self._server, None
        if server is not None and server.returncode is None:
            with suppress(ProcessLookupError):
                server.send_signal(signal.SIGINT)
            await asyncio.wait_for(server.wait(), 15)

    @property
    def served(self) -> bool:
        """Tell whether a server runs."""
        return self._server is not None

    async def _run(self, command: list[str], given: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self._here,
            env=self._environment(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(given.encode()), BLOCK_SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
        assert 0 == process.returncode, output.decode()
        return output.decode()

    def _placed(self, text: str) -> str:
        """Put this walk's address where the documents have the usual one."""
        return ADDRESS.sub(self._address, text)

    def _environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "COMBY_TARGET": self._address, "NO_COLOR": "1"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
