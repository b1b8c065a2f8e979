"""The commands that make code: `comby generate`, `comby protos`, `comby new`."""

from pathlib import Path
from typing import Annotated

import typer

from comby.codegen import project, protoc, protos
from comby.codegen.refusal import Refused

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Generate the code of your domains.")


@app.command()
def generate(
    path: Annotated[Path, typer.Argument(help="The folder that holds your .proto files.")] = Path("protos"),
    out: Annotated[
        Path | None, typer.Option(help="The root that holds your package; the folder of PATH when absent.")
    ] = None,
) -> None:
    """Generate messages, stubs, types and clients of your domains."""
    if not path.is_dir():
        raise _failed(f"{path} is no folder; name the folder that holds your .proto files")
    if not (names := protoc.find([path])):
        raise _failed(f"no .proto file lies below {path}")
    out = out if out is not None else path.resolve().parent
    _generate(path, out)
    typer.echo(f"generated {len(names)} .proto {'file' if len(names) == 1 else 'files'} into {out}")


@app.command("protos")
def export_protos(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to put them.")]) -> None:
    """Write comby's .proto files, and those they import, to a folder: for buf, Go, Node and every other language."""
    typer.echo(f"wrote {len(protos.export(folder))} .proto files to {folder}")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The package's name, in lower case, such as `shop`.")],
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="The new folder; NAME when absent.")] = None,
) -> None:
    """Lay out a new project: a contract, an aggregate, its test, and how to run it."""
    target = folder if folder is not None else Path(name)
    try:
        project.lay_out(name, target)
    except project.NotPossible as error:
        raise _failed(str(error)) from None
    _generate(target / "protos", target)
    typer.echo(f"made {target}\n\n  cd {target}\n  python -m pytest\n  comby dev --app {name}.app:app")


def _generate(path: Path, out: Path) -> None:
    try:
        protoc.generate([path], out)
    except (Refused, protoc.ProtocFailed) as error:
        raise _failed(str(error)) from None


def _failed(text: str) -> typer.Exit:
    typer.echo(text, err=True)
    return typer.Exit(1)
