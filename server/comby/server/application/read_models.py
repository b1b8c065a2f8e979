"""Reads of rows and states, paged by opaque tokens, for queries and for the generic list of aggregates."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message

from comby.server.application.contract import AggregateType, descriptor_of
from comby.server.application.errors import AggregateNotFound, FieldViolation, InvalidMessage
from comby.server.application.indexing import check_order, encode_filter
from comby.server.application.limits import Limits
from comby.server.application.repository import Repository
from comby.server.application.tokens import make_page_token, read_page_token
from comby.server.domain.identity import AggregateKey
from comby.server.domain.projection import Page
from comby.server.domain.query import Versioned
from comby.server.ports.read_model_store import ReadModelStore, RowQuery, StoredRow


class ReadModels:
    """Reads the read models of one facade."""

    def __init__(self, rows: ReadModelStore, repository: Repository, limits: Limits) -> None:
        self._rows = rows
        self._repository = repository
        self._limits = limits

    async def state(self, kind: AggregateType, tenant_id: str, aggregate_id: str) -> Versioned[Any]:
        """Return a copy of an aggregate's state. Raises AggregateNotFound."""
        key = AggregateKey(tenant_id, kind.domain, aggregate_id.lower())
        loaded = await self._repository.read(key, kind)
        if loaded.version == 0 or loaded.closed or loaded.kind is not kind:
            raise AggregateNotFound(kind.identifier, aggregate_id)
        state = kind.state()
        state.CopyFrom(loaded.state)
        return Versioned(key.aggregate_id, loaded.version, state)

    async def row(self, model: str, row_type: type[Message], tenant_id: str, key: str) -> Message | None:
        """Return a row, or None."""
        stored = await self._rows.get(model, tenant_id, key)
        return None if stored is None else row_type.FromString(stored.row)

    async def page(
        self,
        model: str,
        name: str,
        row_type: type[Message],
        indexed: tuple[str, ...],
        tenant_id: str,
        *,
        filter: Mapping[str, Any] | None,
        order_by: str | None,
        descending: bool,
        page_size: int,
        page_token: str,
    ) -> Page[StoredRow]:
        """Return a page of stored rows; a page token is good for all models of one `name`.

        Raises InvalidMessage for fields that are not indexed or a negative size, InvalidToken for a foreign token.
        """
        descriptor = descriptor_of(row_type)
        encoded = encode_filter(descriptor, indexed, filter or {})
        check_order(descriptor, indexed, order_by or "")
        if page_size < 0:
            raise InvalidMessage(
                descriptor.full_name, [FieldViolation("page_size", "int32.gte", "must not be negative")]
            )
        size = self._limits.page(page_size)
        scope = f"{name}/{tenant_id}/{sorted(encoded.items())}/{order_by}/{descending}"
        after = None
        if page_token:
            value, key = read_page_token(scope, page_token, str, str)
            after = (str(value), str(key))
        query = RowQuery(
            model=model,
            tenant_id=tenant_id,
            filter=encoded,
            order_by=order_by or "",
            descending=descending,
            after=after,
        )
        rows = await self._rows.list(query, limit=size + 1)
        token = make_page_token(scope, rows[size - 1].value, rows[size - 1].row.key) if len(rows) > size else ""
        return Page([ordered.row for ordered in rows[:size]], token)

    async def states(self, kind: AggregateType, tenant_id: str, **paging: Any) -> Page[Versioned[Any]]:
        """Return a page of states; a row that an older fold made is folded anew."""
        page = await self.page(kind.model, kind.model, kind.state, kind.indexed, tenant_id, **paging)
        return Page([await self._fresh(kind, tenant_id, row) for row in page.rows], page.next_page_token)

    async def _fresh(self, kind: AggregateType, tenant_id: str, row: StoredRow) -> Versioned[Any]:
        if row.stamp == kind.stamp:
            return Versioned(row.key, row.version, kind.state.FromString(row.row))
        loaded = await self._repository.fold(AggregateKey(tenant_id, kind.domain, row.key), kind)
        return Versioned(row.key, loaded.version, loaded.state)
