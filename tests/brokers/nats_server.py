"""A real nats-server in a process of its own, with its storage in a folder of the test; and a way to it that can be cut."""

import asyncio
import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

START_SECONDS = 20.0
STOP_SECONDS = 10.0
TIED = Path(__file__).with_name("tied_program.py")
PROGRAM = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or "nats-server"


class NatsServer:
    """The server. It keeps its port and its storage over restarts. `settings` are further lines of its configuration."""

    def __init__(self, folder: Path, settings: str = "", *, user: str = "") -> None:
        self.storage = folder / "jetstream"
        self.settings = settings
        self._user = f"{user}@" if user else ""
        self._folder = folder
        self._port = -1
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """The URL for those who may do everything."""
        return f"nats://{self._user}{self.address}"

    @property
    def port(self) -> int:
        """The port."""
        return self._port

    def start(self) -> None:
        """Start, and wait until it listens."""
        ports = self._folder / "ports"
        shutil.rmtree(ports, ignore_errors=True)
        ports.mkdir(parents=True)
        configuration = self._folder / "nats.conf"
        configuration.write_text(
            f'listen: "127.0.0.1:{self._port}"\nports_file_dir: "{ports}"\n'
            f'jetstream {{ store_dir: "{self.storage}" }}\n{self.settings}\n'
        )
        with (self._folder / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(TIED), PROGRAM, "-c", str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self._process.poll() is None, f"it ended with {self._process.returncode}:\n{self.log()}"
            for file in ports.glob("*.ports"):
                with contextlib.suppress(json.JSONDecodeError):  # half written
                    self._port = int(json.loads(file.read_text())["nats"][0].rpartition(":")[2])
                    return
            time.sleep(0.005)
        raise AssertionError(f"nats-server does not start:\n{self.log()}")

    def kill(self) -> None:
        """End it as a power cut would, but for what the system still writes."""
        process = self._running()
        process.kill()
        process.wait(STOP_SECONDS)

    def stop(self) -> None:
        """End it, whatever its state."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait(STOP_SECONDS)

    def pause(self) -> None:
        """Let it hang, with all its connections open. Returns once it does."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.001)

    def resume(self) -> None:
        """Let it go on."""
        self._running().send_signal(signal.SIGCONT)

    def delete_storage(self) -> None:
        """Delete everything that it keeps; it must not run."""
        shutil.rmtree(self.storage)

    def log(self) -> str:
        """Return the end of what it logged."""
        file = self._folder / "nats.log"
        return file.read_text(errors="replace")[-4000:] if file.exists() else ""

    def _running(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None
        return self._process


class Way:
    """A way to a server over a port of its own, which can be cut: then nothing comes through, and no connection ends."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def __aenter__(self) -> "Way":
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *ended: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        """The URL of the server, this way."""
        return f"nats://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Let nothing through."""
        self._open.clear()

    def mend(self) -> None:
        """Let everything through again, first what was on its way."""
        self._open.set()

    def break_all(self) -> None:
        """End all connections that are open now."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.get_running_loop().create_task(self._carry(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._open.wait()
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            self._writers.discard(sink)
            sink.transport.abort()
