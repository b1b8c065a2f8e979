"""When waits end: one timer for all that end in the same moment, since nearly every wait is over long before."""

import asyncio
from collections.abc import Callable
from math import ceil
from typing import TypeAlias

from comby.server.application.pending import Pending, Waiter

MOMENT_SECONDS = 0.01
"""Waits end at the next multiple of this."""
Expire: TypeAlias = Callable[[Pending, Waiter], None]


class Deadlines:
    """The waits that have an end; `expire` is called for those that come to it."""

    def __init__(self, expire: Expire) -> None:
        self._expire = expire
        self._moments: dict[int, dict[Waiter, Pending]] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}

    def watch(self, pending: Pending, waiter: Waiter, seconds: float) -> None:
        """End a wait after a time, unless it is over before."""
        loop = asyncio.get_running_loop()
        moment = ceil((loop.time() + seconds) / MOMENT_SECONDS)
        waiting = self._moments.get(moment)
        if waiting is None:
            waiting = self._moments[moment] = {}
            self._timers[moment] = loop.call_at(moment * MOMENT_SECONDS, self._come, moment)
        waiting[waiter] = pending
        waiter.watched = waiting

    def stop(self) -> None:
        """End no wait any more."""
        for timer in self._timers.values():
            timer.cancel()

    def _come(self, moment: int) -> None:
        del self._timers[moment]
        waiting = self._moments.pop(moment)
        while waiting:
            waiter, pending = waiting.popitem()
            self._expire(pending, waiter)
