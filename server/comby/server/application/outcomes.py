"""Who waits for a command that is not, or no longer, in the hands of the one who waits."""

from comby.server.application.errors import FacadeError
from comby.server.application.pending import Waiter
from comby.server.application.requests import Receipt
from comby.server.domain.identity import CommandKey


class Outcomes:
    """Waiters by command."""

    def __init__(self) -> None:
        self._waiters: dict[CommandKey, list[Waiter]] = {}

    def add(self, key: CommandKey, waiter: Waiter) -> None:
        """Let somebody wait."""
        self._waiters.setdefault(key, []).append(waiter)

    def remove(self, key: CommandKey, waiter: Waiter) -> None:
        """Let somebody go."""
        waiters = self._waiters.get(key)
        if waiters is not None and waiter in waiters:
            waiters.remove(waiter)
            if not waiters:
                del self._waiters[key]

    def waiting(self, key: CommandKey) -> bool:
        """Tell whether anybody waits."""
        return key in self._waiters

    def waited(self) -> list[CommandKey]:
        """Return the commands that somebody waits for."""
        return list(self._waiters)

    def take(self, key: CommandKey) -> list[Waiter]:
        """Take over those who wait for a command."""
        return self._waiters.pop(key, [])

    def reached(self, key: CommandKey, receipt: Receipt) -> None:
        """Answer those who wait for this stage or an earlier one."""
        waiters = self._waiters.pop(key, None)
        if waiters is None:
            return
        still = [waiter for waiter in waiters if not waiter.reached(receipt)]
        if still:
            self._waiters[key] = still

    def fail_all(self, error: FacadeError) -> None:
        """End every wait: the process stops."""
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.fail(error)
        self._waiters.clear()
