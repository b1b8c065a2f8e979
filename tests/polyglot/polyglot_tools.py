"""Builds what the tests run: grpcurl, the Go client and the Node client. Built once, kept below `.tools/polyglot/`.

A tool that this machine can not build is a skip that names what is missing; continuous integration makes a failure of it.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".tools" / "polyglot"
GO_CLIENT = ROOT / "examples" / "clients" / "go"
GO_CONSUMER = ROOT / "examples" / "consumers" / "go"
PYTHON_CONSUMER = ROOT / "examples" / "consumers" / "python" / "consumer.py"
NODE_CLIENT = ROOT / "examples" / "clients" / "node"
CONTRACTS = [ROOT / "generated" / "comby" / "protos", ROOT / "examples" / "shop" / "protos"]

GRPCURL = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4"
BUILD_SECONDS = 900
"""A first build fetches and compiles all of gRPC, on two cores."""


def grpcurl() -> Path:
    """Return the program, built from its module."""
    go = _must_have("go", "Go")
    binary = CACHE / GRPCURL.rpartition("@")[2] / "grpcurl"
    with _alone():
        if not binary.exists():
            _build([go, "install", GRPCURL], environment={"GOBIN": str(binary.parent)})
    return binary


def buf() -> Path:
    """Return the program that came with the wheel."""
    return Path(_must_have("buf", "buf (pip install buf-bin)"))


def go_client() -> list[str]:
    """Return the command of the Go client, generated, vetted and built."""
    return _go_program("go", GO_CLIENT, CACHE / "shop-client")


def go_consumer() -> list[str]:
    """Return the command of the Go consumer, made in the same way."""
    return _go_program("go-consumer", GO_CONSUMER, CACHE / "shop-consumer")


def python_consumer() -> list[str]:
    """Return the command of the Python consumer."""
    return [sys.executable, str(PYTHON_CONSUMER)]


def _go_program(name: str, folder: Path, binary: Path) -> list[str]:
    go = _must_have("go", "Go")
    _must_have("buf", "buf (pip install buf-bin)")
    sources = [
        *folder.glob("*.go"),
        *(folder / name for name in ("go.mod", "go.sum", "buf.gen.yaml", "generate.sh")),
    ]
    with _alone(), _unless_fresh(name, sources, binary) as stale:
        if stale:
            _build(["./generate.sh"], folder=folder)
            _build([go, "vet", "./..."], folder=folder)
            _build([go, "build", "-mod=readonly", "-o", str(binary), "."], folder=folder)
    return [str(binary)]


def node_client() -> list[str]:
    """Return the command of the Node client, with what its lock file names."""
    node, npm = _must_have("node", "Node"), _must_have("npm", "npm")
    sources = [NODE_CLIENT / name for name in ("package.json", "package-lock.json", "generate.sh")]
    with _alone(), _unless_fresh("node", sources, NODE_CLIENT / "node_modules", NODE_CLIENT / "protos") as stale:
        if stale:
            _build([npm, "ci", "--no-audit", "--no-fund"], folder=NODE_CLIENT)
            _build(["./generate.sh"], folder=NODE_CLIENT)
    return [node, str(NODE_CLIENT / "main.js")]


def _path() -> str:
    """Return the search path, with the programs of this Python environment first."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def _must_have(program: str, name: str) -> str:
    found = shutil.which(program, path=_path())
    if found is None:
        pytest.skip(f"NOT TESTED: {name} is not on this machine")
    return found


@contextmanager
def _alone() -> Iterator[None]:
    """Build in one process at a time; the others wait and find it built."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _unless_fresh(name: str, sources: Iterable[Path], *results: Path) -> Iterator[bool]:
    """Tell whether to build; what was built is remembered by the digest of its sources and of the contracts."""
    digest = hashlib.sha256()
    contracts = (file for folder in CONTRACTS for file in sorted(folder.rglob("*.proto")))
    for file in [*sorted(sources), *contracts]:
        digest.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    stamp = CACHE / f"{name}.stamp"
    stale = not (stamp.exists() and stamp.read_text() == digest.hexdigest() and all(one.exists() for one in results))
    yield stale
    stamp.write_text(digest.hexdigest())


def _build(command: list[str], *, folder: Path = CACHE, environment: dict[str, str] | None = None) -> None:
    built = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": _path(), **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    assert built.returncode == 0, f"{' '.join(command)} in {folder} failed:\n{built.stdout[-4000:]}"
