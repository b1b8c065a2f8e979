"""Tells a task that is being cancelled from a handler that raised CancelledError, as one does that awaits a cancelled
task of its own. The second is a failure like any other."""

import asyncio


def being_cancelled() -> bool:
    """Tell whether somebody has asked the current task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
