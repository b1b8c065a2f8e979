"""`python -m comby.codegen`: the commands, where the server's `comby` is not installed."""

from comby.codegen.cli import app

app(prog_name="comby")
