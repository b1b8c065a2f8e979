"""The typed services of the domains, straight from their descriptors: there is no code for any one domain."""

from collections.abc import AsyncGenerator

from google.protobuf.descriptor import MethodDescriptor

from comby.server.application.facade import Facade
from comby.server.application.requests import QueryRequest, Stage
from comby.server.rpc.call import Call
from comby.server.rpc.commands import dispatch_and_answer, request_from_metadata
from comby.server.rpc.metadata import Keys
from comby.server.rpc.streams import closing
from comby.server.rpc.table import Method, Streaming, Unary


def typed_methods(facade: Facade) -> list[Method]:
    """Return the methods of every registered service: what is asked decides where it goes."""
    return [_method(facade, method) for service in facade.registry.services for method in service.methods]


def _method(facade: Facade, method: MethodDescriptor) -> Method:
    path = f"/{method.containing_service.full_name}/{method.name}"
    typed = TypedMethod(facade, method.input_type.full_name)
    if method.input_type.full_name in facade.registry.commands:
        return Unary(path=path, handler=typed.command, keys=Keys.COMMAND, waits=True)
    if method.server_streaming:
        return Streaming(path=path, handler=typed.stream, keys=Keys.QUERY)
    return Unary(path=path, handler=typed.query, keys=Keys.QUERY)


class TypedMethod:
    """One method of a typed service, known by the full name of its request."""

    __slots__ = ("_facade", "_type")

    def __init__(self, facade: Facade, type: str) -> None:
        self._facade = facade
        self._type = type

    async def command(self, raw: bytes, call: Call) -> bytes:
        """Dispatch a command; unless told otherwise, the receipt is sent when it is executed."""
        return await dispatch_and_answer(
            self._facade, request_from_metadata(self._facade, self._type, raw, call, Stage.EXECUTED), call
        )

    async def query(self, raw: bytes, call: Call) -> bytes:
        """Answer a query."""
        answer = await self._facade.dispatch_query(self._request(raw, call))
        call.token = answer.token
        return answer.message.SerializeToString()

    async def stream(self, raw: bytes, call: Call) -> AsyncGenerator[bytes, None]:
        """Answer a live query."""
        async with closing(self._facade.stream_query(self._request(raw, call))) as answers:
            async for answer in answers:
                yield answer.SerializeToString()

    def _request(self, raw: bytes, call: Call) -> QueryRequest:
        return QueryRequest(type=self._type, payload=raw, context=call.context(), token=call.metadata.token)
