"""The methods of the FacadeService that read: queries and the states of aggregates."""

from google.protobuf import any_pb2
from google.protobuf.message import Message

from comby.facade.v1 import query_pb2
from comby.server.application.facade import Facade
from comby.server.application.requests import AggregateListRequest, AggregateRequest, AggregateView, QueryRequest
from comby.server.domain.identity import Version
from comby.server.rpc.call import Call
from comby.server.rpc.commands import SERVICE
from comby.server.rpc.decoding import decode, integer, microseconds, type_of
from comby.server.rpc.errors import InvalidMetadata
from comby.server.rpc.metadata import Keys
from comby.server.rpc.table import Method, Unary


class QueryMethods:
    """Answers any query, and shows the state of any aggregate."""

    def __init__(self, facade: Facade) -> None:
        self._facade = facade

    def methods(self) -> list[Method]:
        """Return the methods for the table."""
        return [
            Unary(path=f"{SERVICE}DispatchQuery", handler=self.dispatch, keys=Keys.QUERY),
            Unary(path=f"{SERVICE}GetAggregate", handler=self.get),
            Unary(path=f"{SERVICE}ListAggregates", handler=self.list),
        ]

    async def dispatch(self, raw: bytes, call: Call) -> bytes:
        """DispatchQuery: the consistency token comes from the message or from metadata, and never from both."""
        message = decode(query_pb2.DispatchQueryRequest, raw, self._facade.validation)
        if message.consistency_token and call.metadata.token:
            raise InvalidMetadata("comby-consistency-token")
        request = QueryRequest(
            type=type_of(message.query),
            payload=message.query.value,
            context=call.context(),
            token=message.consistency_token or call.metadata.token,
        )
        answer = await self._facade.dispatch_query(request)
        call.token = answer.token
        return query_pb2.DispatchQueryResponse(
            response=packed(answer.message), consistency_token=answer.token
        ).SerializeToString()

    async def get(self, raw: bytes, call: Call) -> bytes:
        """GetAggregate: now, at a version, or at a time."""
        message = decode(query_pb2.GetAggregateRequest, raw, self._facade.validation)
        at = message.WhichOneof("at")
        request = AggregateRequest(
            context=call.context(),
            aggregate=message.aggregate,
            aggregate_id=message.aggregate_id,
            version=Version(integer(message.version, "version", message)) if at == "version" else None,
            time=microseconds(message.time, "time", message) if at == "time" else None,
        )
        return _state(await self._facade.get_aggregate(request)).SerializeToString()

    async def list(self, raw: bytes, call: Call) -> bytes:
        """ListAggregates."""
        message = decode(query_pb2.ListAggregatesRequest, raw, self._facade.validation)
        request = AggregateListRequest(
            context=call.context(),
            aggregate=message.aggregate,
            filter=dict(message.filter),
            order_by=message.order_by,
            descending=message.descending,
            page_size=message.page_size,
            page_token=message.page_token,
        )
        page = await self._facade.list_aggregates(request)
        return query_pb2.ListAggregatesResponse(
            aggregates=[_state(view) for view in page.aggregates], next_page_token=page.next_page_token
        ).SerializeToString()


def packed(message: Message) -> any_pb2.Any:
    """Return the message as an Any."""
    return any_pb2.Any(
        type_url=f"type.googleapis.com/{message.DESCRIPTOR.full_name}", value=message.SerializeToString()
    )


def _state(view: AggregateView) -> query_pb2.AggregateState:
    return query_pb2.AggregateState(aggregate_id=view.aggregate_id, version=view.version, state=packed(view.state))
