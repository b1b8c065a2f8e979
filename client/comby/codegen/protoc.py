"""Run protoc and the plugins over a folder of .proto files, in the current environment.

The way: compile to one image, drop buf.validate from it, then run each generator on the image.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from google.protobuf import descriptor_pb2
from google.protobuf.compiler import plugin_pb2

from comby.codegen import plugin, protos
from comby.codegen.refusal import Refused

VALIDATE = "buf/validate/validate.proto"
MYPY_PLUGINS = ("main", "grpc")  # the entry functions of mypy_protobuf.main: messages, stubs


class ProtocFailed(Exception):
    """protoc or one of its plugins refused the files; the text is what it said."""


def generate(roots: Iterable[Path], out: Path, *, files: Iterable[str] | None = None) -> list[str]:
    """Write messages, stubs, types and clients of every .proto file below `roots` into `out`.

    `files` narrows what is written to these names, relative to their root. Returns the names of the .proto files.
    Nothing is written unless every file passes. Raises `ProtocFailed` where protoc fails and `Refused` where a
    contract breaks a rule of comby.
    """
    roots = list(roots)
    names = sorted(files) if files is not None else find(roots)
    with tempfile.TemporaryDirectory() as temporary:
        image = compiled(roots, names, Path(temporary))
        result = Path(temporary, "out")
        result.mkdir()
        _run_plugins(image, names, roots, result)
        _protoc(f"--descriptor_set_in={image}", f"--python_out={result}", f"--grpc_python_out={result}", *names)
        _drop_empty_stubs(image, names, result)
        _copy(result, out)
    for folder in {out / Path(name).parent for name in names}:
        # A namespace above, a package below: only the innermost folder has an __init__ and the typing marker.
        (folder / "__init__.py").touch()
        (folder / "py.typed").touch()
    return names


def find(roots: Iterable[Path]) -> list[str]:
    """Return the names of the .proto files below `roots`, each relative to its root, sorted."""
    return sorted(path.relative_to(root).as_posix() for root in roots for path in root.rglob("*.proto"))


def compiled(roots: Iterable[Path], names: Iterable[str], folder: Path) -> Path:
    """Compile the files, and all that they import, to one image in `folder`; return its path."""
    own = folder / "protos"
    protos.export(own)
    image = folder / "image.binpb"
    includes = [f"-I{root}" for root in (*roots, own)]
    _protoc(*includes, "--include_imports", "--include_source_info", f"--descriptor_set_out={image}", *names)
    without_validate(image)
    return image


def request(image: Path, names: Iterable[str]) -> plugin_pb2.CodeGeneratorRequest:
    """Return what protoc would ask a plugin for these files of an image."""
    files = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())
    return plugin_pb2.CodeGeneratorRequest(file_to_generate=names, proto_file=files.file)


def without_validate(image: Path) -> None:
    """Drop the import of buf.validate from an image.

    Its rules stay in the options as unknown fields, where protovalidate finds them. Two generated copies of
    validate.proto in one process are a TypeError, so none is shipped.
    """
    files = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())
    kept = [file for file in files.file if file.name != VALIDATE]
    for file in kept:
        _drop_dependency(file, VALIDATE)
    image.write_bytes(descriptor_pb2.FileDescriptorSet(file=kept).SerializeToString())


def _drop_dependency(file: descriptor_pb2.FileDescriptorProto, name: str) -> None:
    if name not in file.dependency:
        return
    index = list(file.dependency).index(name)
    public = [i - (i > index) for i in file.public_dependency if i != index]
    names = [dependency for dependency in file.dependency if dependency != name]
    del file.dependency[:], file.public_dependency[:]
    file.dependency.extend(names)
    file.public_dependency.extend(public)


def _run_plugins(image: Path, names: list[str], roots: list[Path], out: Path) -> None:
    asked = request(image, names)
    response = plugin.respond(asked)
    if response.error:
        raise Refused("\n".join(_on_disk(line, roots) for line in response.error.splitlines()))
    _write(response, out)
    asked.parameter = "quiet"
    for function in MYPY_PLUGINS:
        _write(_mypy_plugin(function, asked), out)


def _on_disk(line: str, roots: list[Path]) -> str:
    """Return the line with its file as a path from here, as protoc itself names files."""
    name, _, rest = line.partition(":")
    return next((f"{root / name}:{rest}" for root in roots if (root / name).exists()), line)


def _mypy_plugin(function: str, request: plugin_pb2.CodeGeneratorRequest) -> plugin_pb2.CodeGeneratorResponse:
    """Run a plugin of mypy-protobuf in a process of its own: it reads stdin and ends with a status."""
    code = f"from mypy_protobuf.main import {function}; {function}()"
    done = subprocess.run([sys.executable, "-c", code], input=request.SerializeToString(), capture_output=True)
    if done.returncode:
        raise ProtocFailed(done.stderr.decode(errors="replace").strip())
    return plugin_pb2.CodeGeneratorResponse.FromString(done.stdout)


def _write(response: plugin_pb2.CodeGeneratorResponse, out: Path) -> None:
    for file in response.file:
        path = out / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content, encoding="utf-8")


def _drop_empty_stubs(image: Path, names: Iterable[str], out: Path) -> None:
    """Remove the *_pb2_grpc files of .proto files without a service: they hold nothing."""
    files = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())
    silent = {file.name for file in files.file if not file.service}
    for name in silent.intersection(names):
        for suffix in ("_pb2_grpc.py", "_pb2_grpc.pyi"):
            (out / name.removesuffix(".proto")).with_name(Path(name).stem + suffix).unlink(missing_ok=True)


def _copy(source: Path, out: Path) -> None:
    for path in _files(source):
        target = out / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _protoc(*arguments: str) -> None:
    command = [sys.executable, "-m", "grpc_tools.protoc", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ProtocFailed(done.stderr.strip())
