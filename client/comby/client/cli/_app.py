"""The tree of commands."""

import typer

from comby.client.cli import _aggregates, _commands, _consumers, _events
from comby.client.cli._cluster import cluster
from comby.client.cli._health import health
from comby.client.cli._session import command

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Look into a running server, and mend it.")
app.add_typer(_events.app, name="events")
app.add_typer(_commands.app, name="command")
app.add_typer(_aggregates.app, name="aggregate")
app.add_typer(_consumers.projections, name="projection")
app.add_typer(_consumers.reactors, name="reactor")
command(app, "cluster")(cluster)
command(app, "health")(health)
