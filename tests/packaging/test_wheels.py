"""The wheels hold what they should, nothing else, and install side by side."""

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UV = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
WHEELS = {"generated": "comby_api", "client": "comby_client", "server": "comby_server"}

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All three wheels, built from a copy, so that nothing is written into the tree."""
    folder = tmp_path_factory.mktemp("dist")
    source = tmp_path_factory.mktemp("source")
    for member in WHEELS:
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "dist", "build")
        shutil.copytree(ROOT / member, source / member, ignore=ignored)
        command = [UV, "build", "--quiet", "--wheel", "--no-sources", "--out-dir", str(folder), str(source / member)]
        subprocess.run(command, check=True)
    return folder


def wheel(dist: Path, member: str) -> Path:
    [path] = dist.glob(f"{WHEELS[member]}-*.whl")
    return path


def names(dist: Path, member: str) -> list[str]:
    with zipfile.ZipFile(wheel(dist, member)) as archive:
        return [name for name in archive.namelist() if ".dist-info/" not in name]


@pytest.mark.parametrize("member", WHEELS)
def test_nothing_lies_at_the_top_but_the_namespace(dist: Path, member: str) -> None:
    found = names(dist, member)
    assert {"comby"} == {name.split("/")[0] for name in found}
    assert "comby/__init__.py" not in found
    assert "comby/facade/__init__.py" not in found


def test_every_wheel_has_rooms_of_its_own(dist: Path) -> None:
    rooms = {member: {name.split("/")[1] for name in names(dist, member)} for member in WHEELS}
    assert {
        "generated": {"cluster", "facade", "options", "protos"},
        "client": {"client", "codegen"},
        "server": {"server"},
    } == rooms


def test_the_api_holds_the_protos_and_typing(dist: Path) -> None:
    found = names(dist, "generated")
    protos = {path.relative_to(ROOT / "protos").as_posix() for path in (ROOT / "protos").rglob("*.proto")}
    assert protos <= {name.removeprefix("comby/protos/") for name in found}
    assert {"comby/protos/buf/validate/validate.proto", "comby/facade/v1/py.typed"} <= set(found)
    assert not [name for name in found if "validate_pb2" in name or ("/google/" in name and name.endswith(".py"))]


def test_the_client_holds_its_templates_and_typing(dist: Path) -> None:
    found = set(names(dist, "client"))
    assert {
        "comby/client/py.typed",
        "comby/codegen/py.typed",
        "comby/codegen/templates/client.py.jinja",
        "comby/codegen/templates/project/protos/NAME/v1/NAME.proto.jinja",
        "comby/codegen/templates/project/.gitignore.jinja",
    } <= found


def test_the_client_installs_alone_with_four_dependencies(dist: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    subprocess.run([UV, "venv", "--quiet", str(environment)], check=True)
    wheels = [str(wheel(dist, "generated")), str(wheel(dist, "client"))]
    python = environment / "bin" / "python"
    subprocess.run([UV, "pip", "install", "--quiet", "--python", str(python), *wheels], check=True)
    code = "import comby.client, sys; print([m for m in ('typer', 'jinja2', 'comby.server') if m in sys.modules])"
    done = subprocess.run(
        [python, "-W", "error", "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert ("[]\n", "") == (done.stdout, done.stderr)
    freeze = [UV, "pip", "freeze", "--python", str(python)]
    frozen = subprocess.run(freeze, capture_output=True, text=True, check=True).stdout
    installed = {line.partition("==")[0].partition(" @")[0] for line in frozen.splitlines()}
    assert {
        "comby-api",
        "comby-client",
        "googleapis-common-protos",
        "grpcio",
        "grpcio-status",
        "protobuf",
        "typing-extensions",
    } == installed
