"""What is generated: its text, how it behaves, and that type checkers are content with it."""

import importlib
import inspect
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from comby.codegen import protoc

SAMPLES = Path(__file__).parent / "samples"
ROOT = Path(__file__).resolve().parents[3]
SOURCES = [ROOT / "generated", ROOT / "client", ROOT / "examples" / "shop"]


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A domain with every kind of field, generated; importable while the tests run."""
    root = tmp_path_factory.mktemp("sink")
    folder = root / "protos" / "kitchen" / "sink" / "v1"
    folder.mkdir(parents=True)
    shutil.copy(SAMPLES / "sink.proto", folder)
    protoc.generate([root / "protos"], root)
    sys.path.insert(0, str(root))
    yield root
    sys.path.remove(str(root))


@pytest.fixture
def client(sink: Path) -> ModuleType:
    return importlib.import_module("kitchen.sink.v1.sink_client")


@pytest.fixture
def messages(sink: Path) -> ModuleType:
    return importlib.import_module("kitchen.sink.v1.sink_pb2")


class Calls:
    """Stands where the connection is, and keeps what a generated client hands over."""

    def __init__(self) -> None:
        self.path = ""
        self.message: Any = None
        self.options: dict[str, object] = {}

    async def call_command(self, path: str, message: object, **options: object) -> None:
        self.path, self.message, self.options = path, message, options

    async def call_query(self, path: str, message: object, answer: object, **options: object) -> object:
        self.path, self.message, self.options = path, message, options
        return answer


async def test_every_kind_of_field_arrives(client: ModuleType, messages: ModuleType) -> None:
    calls, tap = Calls(), messages.FillSink.Tap
    await client.SinkClient(calls).fill_sink(
        sink_id="s",
        wait_="field",
        from_="here",
        message_=b"bytes",
        litres=0,
        colour=messages.COLOUR_RED,
        size=messages.FillSink.SIZE_BIG,
        taps=(tap(name=name) for name in "ab"),
        names=["x"],
        by_name={"k": tap(name="v")},
        labels={1: "one"},
        metal=tap(name="m"),
        class_=[tap(name="c")],
        import_={"i": tap(name="j")},
        with_=tap(name="w"),
        wait="projected",
    )
    expected = messages.FillSink(
        sink_id="s",
        wait="field",
        message=b"bytes",
        litres=0,
        colour=messages.COLOUR_RED,
        size=messages.FillSink.SIZE_BIG,
        taps=[tap(name="a"), tap(name="b")],
        names=["x"],
        by_name={"k": tap(name="v")},
        labels={1: "one"},
        metal=tap(name="m"),
        **{"from": "here", "class": [tap(name="c")], "import": {"i": tap(name="j")}, "with": tap(name="w")},
    )
    assert expected == calls.message
    assert (calls.path, calls.options["wait"]) == ("/kitchen.sink.v1.SinkService/FillSink", "projected")


async def test_what_is_not_given_is_absent(client: ModuleType, messages: ModuleType) -> None:
    calls = Calls()
    await client.SinkClient(calls).fill_sink()
    assert messages.FillSink() == calls.message
    assert not calls.message.HasField("litres")
    assert calls.message.WhichOneof("plug") is None


async def test_a_member_of_a_oneof_may_be_its_zero(client: ModuleType) -> None:
    calls = Calls()
    await client.SinkClient(calls).fill_sink(none=False)
    assert calls.message.WhichOneof("plug") == "none"


async def test_names_are_pythonic(client: ModuleType, messages: ModuleType) -> None:
    calls = Calls()
    assert messages.Sink is await client.SinkClient(calls).get_http_sink()
    assert calls.path == "/kitchen.sink.v1.SinkService/GetHTTPSink"
    assert hasattr(client.SinkClient, "import_")


def test_comments_become_docstrings(client: ModuleType) -> None:
    assert client.SinkClient.__doc__.startswith(
        'SinkService holds "everything" that a contract may hold, and a back\\s'
    )
    lines = (inspect.getdoc(client.SinkClient.fill_sink) or "").splitlines()
    assert lines[:5] == ["FillSink fills it.", "", "It has a second paragraph.", "", "Args:"]
    assert "    wait_: clashes with an option of the call." in lines


def test_reasons_are_strings_without_the_prefix(sink: Path) -> None:
    types = importlib.import_module("kitchen.sink.v1.sink_types")
    assert [str(reason) for reason in types.SinkReason] == ["FULL", "LEAKS"]
    assert types.SinkEvent is importlib.import_module("kitchen.sink.v1.sink_pb2").SinkFilled


def test_only_the_innermost_folder_is_a_package(sink: Path) -> None:
    found = sorted(path.relative_to(sink).as_posix() for path in sink.rglob("__init__.py"))
    assert found == ["kitchen/sink/v1/__init__.py"]
    assert (sink / "kitchen/sink/v1/py.typed").exists()


def test_generating_twice_is_the_same(sink: Path, tmp_path: Path) -> None:
    protoc.generate([sink / "protos"], tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 8
    assert [path for path in files if path.read_bytes() != (sink / path.relative_to(tmp_path)).read_bytes()] == []


def test_the_text_of_a_method() -> None:
    text = (ROOT / "examples/shop/shop/order/v1/order_client.py").read_text()
    expected = '''
    async def pay_order(
        self,
        message: order_pb2.PayOrder | None = None,
        /,
        *,
        order_id: str = "",
        amount_cents: int = 0,
        wait: Wait = "executed",
        wait_timeout: float | None = None,
        request_id: str | None = None,
        expected_version: int | None = None,
        not_before: datetime | None = None,
        tenant_id: str | None = None,
        timeout: float | None = None,
    ) -> Receipt:
        """PayOrder pays an order in full.

        Args:
            message: the ready message, instead of its fields.
            order_id: is the order to pay.
            amount_cents: is what is paid; it must equal the order's total.
        """
        if message is None:
            message = order_pb2.PayOrder(
                order_id=order_id,
                amount_cents=amount_cents,
            )
        return await self._comby.call_command(
            "/shop.order.v1.OrderService/PayOrder",
            message,
            wait=wait,
'''
    assert expected in text


def mypy(folder: Path, *targets: str, sources: list[Path] = SOURCES) -> str:
    config = folder / "mypy.ini"
    path = ":".join(str(source) for source in sources)
    config.write_text(
        f"[mypy]\nstrict = True\nnamespace_packages = True\nexplicit_package_bases = True\nmypy_path = {path}\n"
        f"cache_dir = {ROOT / '.mypy_cache' / 'samples'}\n[mypy-google.rpc.*]\nignore_missing_imports = True\n"
    )
    command = [sys.executable, "-m", "mypy", "--config-file", str(config), "--no-error-summary", *targets]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False).stdout


def pyright(folder: Path, *targets: str) -> dict[str, list[int]]:
    """Return the lines with errors, by file name."""
    config = {"typeCheckingMode": "strict", "include": list(targets), "extraPaths": [str(path) for path in SOURCES]}
    (folder / "pyrightconfig.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(folder)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False).stdout)
    assert found["summary"]["filesAnalyzed"] >= 1
    lines: dict[str, list[int]] = {}
    for item in found["generalDiagnostics"]:
        lines.setdefault(Path(item["file"]).name, []).append(item["range"]["start"]["line"] + 1)
    return lines


def marked() -> list[int]:
    text = (SAMPLES / "wrong.txt").read_text()
    return [number for number, line in enumerate(text.splitlines(), 1) if line.endswith("# wrong")]


@pytest.mark.timeout(300)
def test_mypy_is_content_with_what_a_user_writes(tmp_path: Path) -> None:
    assert mypy(tmp_path, str(SAMPLES / "user.py")) == ""


@pytest.mark.timeout(300)
def test_mypy_is_content_with_every_kind_of_field(sink: Path, tmp_path: Path) -> None:
    assert "" == mypy(tmp_path, "-p", "kitchen.sink.v1", sources=[*SOURCES, sink])


@pytest.mark.timeout(300)
def test_mypy_finds_what_a_user_does_wrong(tmp_path: Path) -> None:
    found = {
        int(line.split(":")[1]) for line in mypy(tmp_path, str(SAMPLES / "wrong.txt")).splitlines() if "error" in line
    }
    assert marked() == sorted(found)


@pytest.mark.timeout(300)
def test_pyright_agrees(sink: Path, tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "user.py", tmp_path)
    shutil.copy(SAMPLES / "wrong.txt", tmp_path / "wrong.py")
    shutil.copytree(sink / "kitchen", tmp_path / "kitchen")
    found = pyright(tmp_path, "user.py", "wrong.py", "kitchen/**/*_client.py", "kitchen/**/*_types.py")
    assert {"wrong.py": marked()} == {name: sorted(set(lines)) for name, lines in found.items()}
