"""Stored commands in PostgreSQL."""

from collections.abc import Collection, Mapping, Sequence

import asyncpg

from comby.server.domain.identity import AggregateKey, CommandKey
from comby.server.ports.command_store import CommandFilter, CommandStatus, CommandStore, StoredCommand
from comby.server.stores.postgres.command_rows import key_arguments, read_commands
from comby.server.stores.postgres.session import Session
from comby.server.stores.postgres.text import escaped, unescaped

NO_BOUND = 2**63 - 1


class PostgresCommandStore(CommandStore):
    """Reads commands by key, by place in the queue, and for operators."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, key: CommandKey) -> StoredCommand | None:
        return (await self.get_many([key])).get(key)

    async def get_many(self, keys: Sequence[CommandKey]) -> Mapping[CommandKey, StoredCommand]:
        rows = await self._session.rows("get_commands", *key_arguments(keys))
        return {command.key: command for command in read_commands(rows)}

    async def list(self, filter: CommandFilter, *, limit: int) -> Sequence[StoredCommand]:
        arguments = (
            escaped(filter.tenant_id),
            sorted(filter.statuses or CommandStatus),
            escaped(filter.type),
            NO_BOUND if filter.before_seq is None else filter.before_seq,
            limit,
        )
        if filter.aggregate_id:
            rows = await self._session.rows("list_commands_of_aggregate", *arguments, escaped(filter.aggregate_id))
        else:
            rows = await self._session.rows("list_commands", *arguments)
        return read_commands(rows)

    async def open_keys(
        self, *, due: int, limit: int, partitions: Collection[int] | None = None
    ) -> Sequence[CommandKey]:
        if partitions is None:
            return _keys(await self._session.rows("open_keys", due, limit))
        return _keys(await self._session.rows("open_keys_of_partitions", due, limit, sorted(partitions)))

    async def open_keys_of_aggregate(self, aggregate: AggregateKey, *, due: int, limit: int) -> Sequence[CommandKey]:
        names = [escaped(name) for name in aggregate]
        return _keys(await self._session.rows("open_keys_of_aggregate", due, limit, *names))

    async def next_due(self, *, after: int, partitions: Collection[int] | None = None) -> int | None:
        wanted = None if partitions is None else sorted(partitions)
        due: int | None = await self._session.value("next_due", after, wanted)
        return due

    async def ended(self, keys: Collection[CommandKey]) -> Sequence[CommandKey]:
        return _keys(await self._session.rows("ended_commands", *key_arguments(keys)))

    async def count_open(self) -> Mapping[str, int]:
        return {unescaped(tenant_id): count for tenant_id, count in await self._session.rows("count_open")}

    async def forget(self, *, finished_before: int, limit: int) -> int:
        return int(await self._session.value("forget_commands", finished_before, limit))


def _keys(rows: Sequence[asyncpg.Record]) -> Sequence[CommandKey]:
    return [CommandKey(unescaped(tenant_id), unescaped(request_id)) for tenant_id, request_id in rows]
