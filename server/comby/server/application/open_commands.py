"""How many commands are open, against the bounds: those in this process, and those that only the store has."""

from collections import Counter
from collections.abc import Mapping

from comby.server.application.errors import Overloaded
from comby.server.application.limits import Limits


class OpenCommands:
    """Counts by tenant.

    An instance that is alone sees every command come and go, so the bounds are exact. Among several those that are stored are counted anew
    every now and then, so the bounds are exact but for what was accepted and finished elsewhere since, and here while that count was made.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._here: Counter[str] = Counter()
        self._stored: Counter[str] = Counter()
        self._total = 0
        self.moves = 0
        """Rises with each command that comes, goes, or is left to the store: a count that was made meanwhile is of the past."""

    @property
    def total(self) -> int:
        """Count the open commands of all tenants."""
        return self._total

    def reserve(self, tenant_id: str) -> None:
        """Count a command that comes in. Raises Overloaded when there is no room."""
        limits = self._limits
        if self._here.get(tenant_id, 0) + self._stored.get(tenant_id, 0) >= limits.open_commands_per_tenant:
            raise Overloaded("open_commands_per_tenant", limits.open_commands_per_tenant)
        if self._total >= limits.open_commands:
            raise Overloaded("open_commands", limits.open_commands)
        self._change(self._here, tenant_id, 1)

    def close(self, tenant_id: str) -> None:
        """Count a command of this process that is open no more."""
        self._change(self._here, tenant_id, -1)

    def leave(self, tenant_id: str) -> None:
        """Count a command of this process that is left to the store."""
        self.close(tenant_id)
        self.reopen(tenant_id)

    def claim(self, tenant_id: str) -> None:
        """Count a command that this process takes from the store."""
        self.close_stored(tenant_id)
        self._change(self._here, tenant_id, 1)

    def reopen(self, tenant_id: str) -> None:
        """Count a command that only the store has, and that is open again."""
        self._change(self._stored, tenant_id, 1)

    def close_stored(self, tenant_id: str) -> None:
        """Count a command that only the store has, and that is open no more."""
        if self._stored[tenant_id]:
            self._change(self._stored, tenant_id, -1)

    def refresh(self, open_in_store: Mapping[str, int], stored_here: Mapping[str, int]) -> None:
        """Take over the store's count of all open commands; `stored_here` are those among them that are in this process.

        Others in this process are not in the store yet: they are counted here, and are not among those that only the store has.
        """
        self._stored = Counter(
            {tenant: max(0, count - stored_here.get(tenant, 0)) for tenant, count in open_in_store.items()}
        )
        self._here = +self._here
        self._total = sum(self._here.values()) + sum(self._stored.values())

    def _change(self, counter: Counter[str], tenant_id: str, by: int) -> None:
        count = counter.get(tenant_id, 0) + by
        if count:
            counter[tenant_id] = count
        else:
            counter.pop(tenant_id, None)
        self._total += by
        self.moves += 1
