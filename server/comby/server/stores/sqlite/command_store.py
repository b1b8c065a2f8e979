"""Stored commands in SQLite."""

import json
from collections.abc import Collection, Mapping, Sequence

from comby.server.domain.identity import AggregateKey, CommandKey
from comby.server.ports.command_store import (
    CommandFilter,
    CommandStatus,
    CommandStore,
    StoredCommand,
)
from comby.server.stores.sqlite.packed import unpack_commands
from comby.server.stores.sqlite.session import Session

NO_BOUND = 2**63 - 1


class SqliteCommandStore(CommandStore):
    """Reads commands by key, by place in the queue, and for operators."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, key: CommandKey) -> StoredCommand | None:
        return (await self.get_many([key])).get(key)

    async def get_many(self, keys: Sequence[CommandKey]) -> Mapping[CommandKey, StoredCommand]:
        wanted = {(key.tenant_id, key.request_id) for key in keys}
        return {command.key: command for command in await self._page("get_commands", keys=json.dumps(sorted(wanted)))}

    async def list(self, filter: CommandFilter, *, limit: int) -> Sequence[StoredCommand]:
        return await self._page(
            "list_commands_of_aggregate" if filter.aggregate_id else "list_commands",
            tenant_id=filter.tenant_id,
            statuses=json.dumps(sorted(filter.statuses or CommandStatus)),
            type=filter.type,
            aggregate_id=filter.aggregate_id,
            before_seq=NO_BOUND if filter.before_seq is None else filter.before_seq,
            limit=limit,
        )

    async def open_keys(
        self, *, due: int, limit: int, partitions: Collection[int] | None = None
    ) -> Sequence[CommandKey]:
        return await self._keys("open_keys", due=due, limit=limit, partitions=_numbers(partitions))

    async def open_keys_of_aggregate(self, aggregate: AggregateKey, *, due: int, limit: int) -> Sequence[CommandKey]:
        return await self._keys("open_keys_of_aggregate", due=due, limit=limit, **aggregate._asdict())

    async def next_due(self, *, after: int, partitions: Collection[int] | None = None) -> int | None:
        row = await self._session.row("next_due", {"after": after, "partitions": _numbers(partitions)})
        return row[0] if row else None

    async def ended(self, keys: Collection[CommandKey]) -> Sequence[CommandKey]:
        wanted = json.dumps([(key.tenant_id, key.request_id) for key in keys])
        return await self._keys("ended_commands", keys=wanted)

    async def count_open(self) -> Mapping[str, int]:
        row = await self._session.row("count_open", {})
        counts: dict[str, int] = json.loads(row[0]) if row else {}
        return counts

    async def forget(self, *, finished_before: int, limit: int) -> int:
        forgotten = await self._session.writing.upkeep("forget_commands", finished_before, limit)
        assert isinstance(forgotten, int)
        return forgotten

    async def _page(self, name: str, **bindings: str | int | None) -> Sequence[StoredCommand]:
        row = await self._session.row(name, bindings)
        return unpack_commands(*row) if row else []

    async def _keys(self, name: str, **bindings: str | int | None) -> Sequence[CommandKey]:
        row = await self._session.row(name, bindings)
        return [CommandKey(*key) for key in json.loads(row[0])] if row else []


def _numbers(partitions: Collection[int] | None) -> str | None:
    return None if partitions is None else json.dumps(sorted(partitions))
