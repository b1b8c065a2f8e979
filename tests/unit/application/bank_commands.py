"""Commands to the bank, straight into its facade."""

import asyncio
from typing import Any

from comby.server import Facade, RequestContext
from comby.server.application.requests import CommandRequest, Receipt, Stage

CONTEXT = RequestContext()


def dispatch(facade: Facade, command: Any, wait: Stage, **options: Any) -> asyncio.Future[Receipt]:
    return facade.dispatch_command(
        CommandRequest(
            type=command.DESCRIPTOR.full_name,
            payload=command.SerializeToString(),
            context=CONTEXT,
            wait=wait,
            **options,
        )
    )


async def do(facade: Facade, command: Any) -> Receipt:
    """Dispatch a command, and wait until it is executed or has ended otherwise."""
    return await dispatch(facade, command, Stage.EXECUTED)
