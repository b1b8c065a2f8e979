"""Calls that read: queries, states, the model."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import TypeVar

from google.protobuf.message import Message

from comby.client import _wire
from comby.client._connection import FACADE, Connection
from comby.client._metadata import Metadata
from comby.client._records import AggregateState, Page, aggregate_state
from comby.facade.v1 import model_pb2, query_pb2

M = TypeVar("M", bound=Message)
S = TypeVar("S", bound=Message)


class QueryCalls:
    """The part of `Comby` that is about queries and states."""

    _connection: Connection

    async def call_query(
        self,
        path: str,
        message: Message,
        answer_type: type[M],
        *,
        consistency: str | None,
        tenant_id: str | None,
        timeout: float | None,
    ) -> M:
        """Call a typed RPC of a query; for generated clients, which type what it takes."""
        return await self._connection.unary(
            path,
            message,
            answer_type,
            metadata=self._query_metadata(consistency),
            tenant_id=tenant_id,
            timeout=timeout,
        )

    def call_query_stream(
        self,
        path: str,
        message: Message,
        answer_type: type[M],
        *,
        consistency: str | None,
        tenant_id: str | None,
        timeout: float | None,
    ) -> AsyncIterator[M]:
        """Call a typed RPC of a query that streams; it has no time-out unless one is given."""
        return self._connection.server_stream(
            path,
            message,
            answer_type,
            metadata=self._query_metadata(consistency),
            tenant_id=tenant_id,
            timeout=timeout,
        )

    async def query(
        self,
        message: Message,
        answer_type: type[M],
        *,
        consistency: str | None = None,
        tenant_id: str | None = None,
        timeout: float | None = None,
    ) -> M:
        """Ask any query that has one answer.

        Args:
            message: the query.
            answer_type: the message that its typed RPC returns; TypeError when the answer is another one.
            consistency: a receipt's consistency token, which the answer must cover; `Lagging` when it does not in time.
            tenant_id: the tenant, instead of the connection's.
            timeout: seconds after which the call ends with `DeadlineExceeded`.
        """
        request = query_pb2.DispatchQueryRequest(query=_wire.packed(message), consistency_token=consistency or "")
        answer = await self._connection.unary(
            f"{FACADE}DispatchQuery", request, query_pb2.DispatchQueryResponse, tenant_id=tenant_id, timeout=timeout
        )
        return _wire.unpacked(answer.response, answer_type)

    async def get_aggregate(
        self,
        state_type: type[S],
        aggregate_id: str,
        *,
        version: int | None = None,
        time: datetime | None = None,
        tenant_id: str | None = None,
    ) -> AggregateState[S]:
        """Return the state of one aggregate: now, at a version, or at a time (one of the two)."""
        if version is not None and time is not None:
            raise ValueError("give a version or a time, not both")
        request = query_pb2.GetAggregateRequest(aggregate=_wire.identifier(state_type), aggregate_id=aggregate_id)
        if version is not None:
            request.version = version
        if time is not None:
            request.time.CopyFrom(_wire.timestamp(time))
        answer = await self._connection.unary(
            f"{FACADE}GetAggregate", request, query_pb2.AggregateState, tenant_id=tenant_id
        )
        return aggregate_state(answer, state_type)

    async def list_aggregates(
        self,
        state_type: type[S],
        *,
        filter: Mapping[str, str] | None = None,
        order_by: str = "",
        descending: bool = False,
        page_size: int = 0,
        page_token: str = "",
        tenant_id: str | None = None,
    ) -> Page[AggregateState[S]]:
        """Return a page of states, filtered and ordered by the aggregate's indexed fields.

        `filter` holds values as in protobuf JSON: enums by name, booleans as true and false.
        """
        request = query_pb2.ListAggregatesRequest(
            aggregate=_wire.identifier(state_type),
            filter=filter,
            order_by=order_by,
            descending=descending,
            page_size=page_size,
            page_token=page_token,
        )
        answer = await self._connection.unary(
            f"{FACADE}ListAggregates", request, query_pb2.ListAggregatesResponse, tenant_id=tenant_id
        )
        states = tuple(aggregate_state(state, state_type) for state in answer.aggregates)
        return Page(items=states, next_page_token=answer.next_page_token)

    async def describe(self, *, tenant_id: str | None = None) -> model_pb2.DescribeModelResponse:
        """Return what is served: domains, their types, the digest of the contract, and the log's head."""
        return await self._connection.unary(
            f"{FACADE}DescribeModel",
            model_pb2.DescribeModelRequest(),
            model_pb2.DescribeModelResponse,
            tenant_id=tenant_id,
        )

    def _query_metadata(self, consistency: str | None) -> Metadata:
        causes = tuple(self._connection.ambient.causes())
        return causes if consistency is None else (*causes, ("comby-consistency-token", consistency))
