"""The contract itself, by the standard protocol grpc.reflection, v1 and v1alpha, which are equal on the wire.

Files come from the pool into which the generated modules have put them: the facade's, the app's, and all that they import.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import suppress

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from google.rpc import code_pb2
from grpc_reflection.v1alpha import reflection_pb2

from comby.server.rpc.call import Call
from comby.server.rpc.decoding import parse
from comby.server.rpc.metadata import Keys
from comby.server.rpc.table import Bidirectional, Method

REFLECTION_SERVICES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
_Response = reflection_pb2.ServerReflectionResponse


class Reflection:
    """Answers questions about services, files, symbols and extensions."""

    def __init__(self, services: Iterable[str]) -> None:
        self._services = sorted(services)
        self._pool = descriptor_pool.Default()
        self._v1 = _v1_pool()

    def methods(self) -> list[Method]:
        """Return the methods for the table."""
        return [
            Bidirectional(path=f"/{service}/ServerReflectionInfo", handler=self.info, keys=Keys.ANY)
            for service in REFLECTION_SERVICES
        ]

    async def info(self, messages: AsyncIterator[bytes], call: Call) -> AsyncGenerator[bytes, None]:
        """ServerReflectionInfo: one answer for each question, in order."""
        async for raw in messages:
            request = parse(reflection_pb2.ServerReflectionRequest, raw)
            response = _Response(valid_host=request.host, original_request=request)
            try:
                self._answer(request, response)
            except (KeyError, ValueError, TypeError, OverflowError):
                _refuse(response, code_pb2.NOT_FOUND, "not found")
            yield response.SerializeToString()

    def _answer(
        self, request: reflection_pb2.ServerReflectionRequest, response: reflection_pb2.ServerReflectionResponse
    ) -> None:
        match request.WhichOneof("message_request"):
            case "list_services":
                for service in self._services:
                    response.list_services_response.service.add(name=service)
            case "file_by_filename":
                self._put(response, self._file(request.file_by_filename))
            case "file_containing_symbol":
                self._put(response, self._file_of_symbol(request.file_containing_symbol))
            case "file_containing_extension":
                extended = self._pool.FindMessageTypeByName(request.file_containing_extension.containing_type)
                extension = self._pool.FindExtensionByNumber(
                    extended, request.file_containing_extension.extension_number
                )
                self._put(response, self._file_of_symbol(extension.full_name))
            case "all_extension_numbers_of_type":
                extended = self._pool.FindMessageTypeByName(request.all_extension_numbers_of_type)
                numbers = sorted(extension.number for extension in self._pool.FindAllExtensions(extended))
                response.all_extension_numbers_response.base_type_name = extended.full_name
                response.all_extension_numbers_response.extension_number.extend(numbers)
            case _:
                _refuse(response, code_pb2.INVALID_ARGUMENT, "nothing asked")

    def _file(self, name: str) -> FileDescriptor:
        try:
            return self._pool.FindFileByName(name)
        except KeyError:
            return self._v1.FindFileByName(name)

    def _file_of_symbol(self, symbol: str) -> FileDescriptor:
        for pool in (self._pool, self._v1):
            with suppress(KeyError):
                return pool.FindFileContainingSymbol(symbol)
        return self._file_of_method(symbol)

    def _file_of_method(self, symbol: str) -> FileDescriptor:
        """Return the file of a method, which a pool does not find as a symbol. Raises KeyError."""
        service, _, method = symbol.rpartition(".")
        for pool in (self._pool, self._v1):
            with suppress(KeyError):
                return pool.FindServiceByName(service).methods_by_name[method].containing_service.file
        raise KeyError(symbol)

    def _put(self, response: reflection_pb2.ServerReflectionResponse, file: FileDescriptor) -> None:
        """Answer a file and all that it imports."""
        seen: set[str] = set()
        waiting = [file]
        while waiting:
            one = waiting.pop()
            if one.name not in seen:
                seen.add(one.name)
                response.file_descriptor_response.file_descriptor_proto.append(one.serialized_pb)
                waiting.extend(one.dependencies)


def _refuse(response: reflection_pb2.ServerReflectionResponse, code: int, text: str) -> None:
    response.error_response.error_code = code
    response.error_response.error_message = text


def _v1_pool() -> descriptor_pool.DescriptorPool:
    """Return a pool with the contract of v1, which no package of Python ships: it is that of v1alpha under another name."""
    file = descriptor_pb2.FileDescriptorProto.FromString(reflection_pb2.DESCRIPTOR.serialized_pb)
    file.name = "grpc/reflection/v1/reflection.proto"
    file.package = "grpc.reflection.v1"
    for message in file.message_type:
        for field in (one for one in message.field if one.type_name):
            field.type_name = field.type_name.replace(".v1alpha.", ".v1.")
    for service in file.service:
        for method in service.method:
            method.input_type = method.input_type.replace(".v1alpha.", ".v1.")
            method.output_type = method.output_type.replace(".v1alpha.", ".v1.")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool
