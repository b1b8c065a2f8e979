"""`comby generate`, `comby protos` and `comby new`, as a user types them."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from comby.codegen.cli import app

run = CliRunner()


def test_generate_writes_beside_the_protos(right: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "protos" / "bank" / "account" / "v1"
    folder.mkdir(parents=True)
    (folder / "account.proto").write_text(right)
    monkeypatch.chdir(tmp_path)
    result = run.invoke(app, ["generate"])
    assert (0, f"generated 1 .proto file into {tmp_path}\n") == (result.exit_code, result.output)
    written = sorted(path.name for path in (tmp_path / "bank/account/v1").iterdir())
    assert [
        "__init__.py",
        "account_client.py",
        "account_pb2.py",
        "account_pb2.pyi",
        "account_pb2_grpc.py",
        "account_pb2_grpc.pyi",
        "account_types.py",
        "py.typed",
    ] == written


def test_generate_tells_what_is_wrong_and_writes_nothing(right: str, tmp_path: Path) -> None:
    (tmp_path / "protos").mkdir()
    (tmp_path / "protos" / "account.proto").write_text(right.replace('"Account"', '"account"'))
    result = run.invoke(app, ["generate", str(tmp_path / "protos"), "--out", str(tmp_path / "out")])
    assert 1 == result.exit_code
    assert result.stderr.startswith(f"{tmp_path}/protos/account.proto:5: the domain name 'account' is not")
    assert not (tmp_path / "out").exists()


def test_generate_passes_on_what_protoc_says(tmp_path: Path) -> None:
    (tmp_path / "broken.proto").write_text('syntax = "proto3";\nmessage {}\n')
    result = run.invoke(app, ["generate", str(tmp_path), "--out", str(tmp_path / "out")])
    assert (1, f"{tmp_path}/broken.proto:2:9: Expected message name.\n") == (result.exit_code, result.stderr)


@pytest.mark.parametrize("path", ["missing", "."])
def test_generate_needs_protos(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run.invoke(app, ["generate", path])
    assert 1 == result.exit_code
    assert path in result.stderr


def test_protos_are_exported_with_all_that_they_import(tmp_path: Path) -> None:
    assert 0 == run.invoke(app, ["protos", str(tmp_path)]).exit_code
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert {
        "buf/validate/validate.proto",
        "comby/facade/v1/facade_service.proto",
        "comby/options/v1/options.proto",
        "google/rpc/status.proto",
    } <= written
    assert {".proto"} == {Path(name).suffix for name in written}


@pytest.mark.parametrize("name", ["Shop", "1st", "class", "comby", "a-b", "a__b", "tests"])
def test_new_refuses_a_name_that_is_no_package(name: str, tmp_path: Path) -> None:
    result = run.invoke(app, ["new", name, str(tmp_path / "it")])
    assert 1 == result.exit_code
    assert "can not be the package's name" in result.stderr
    assert not (tmp_path / "it").exists()


def test_new_writes_into_no_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    result = run.invoke(app, ["new", "counter", str(tmp_path)])
    assert (1, f"{tmp_path} is not empty; name a new folder\n") == (result.exit_code, result.stderr)


@pytest.mark.parametrize("name", ["counter", "gift_card"])
def test_a_new_project_passes_its_own_test(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    result = run.invoke(app, ["new", name, str(folder)])
    assert 0 == result.exit_code, result.stderr
    assert f"comby dev --app {name}.app:app" in result.output
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert "3 passed" in done.stdout, done.stdout + done.stderr
