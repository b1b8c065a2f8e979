"""The operator's commands, against a running server: events, commands, aggregates, projections, reactors, health.

They know no domain: what they print as JSON is decoded by descriptors that the server itself gives, by reflection.
"""

from comby.client.cli._app import app

__all__ = ["app"]
