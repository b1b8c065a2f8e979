"""The types of a running server, learned from it by gRPC reflection."""

from collections.abc import AsyncIterator

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection_pb2

from comby.client import _status
from comby.client._connection import Connection

METHOD = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


class ServerTypes:
    """A pool that is filled with a server's files as they are needed."""

    def __init__(self, connection: Connection) -> None:
        self.pool = DescriptorPool()
        self._connection = connection
        self._unknown: set[str] = set()

    async def learn(self, name: str) -> bool:
        """Bring a message's type into the pool; False when neither this program nor the server knows it."""
        if name in self._unknown:
            return False
        try:
            self.pool.FindMessageTypeByName(name)
        except KeyError:
            known = self._copy(name) or await self._ask(name)
            if not known:
                self._unknown.add(name)
            return known
        return True

    def _copy(self, name: str) -> bool:
        """Take a type that this program knows itself, such as google.rpc.ErrorInfo."""
        try:
            file = descriptor_pool.Default().FindMessageTypeByName(name).file
        except KeyError:
            return False
        files: dict[str, FileDescriptorProto] = {}
        wanted = [file]
        while wanted:
            found = wanted.pop()
            files[found.name] = proto = FileDescriptorProto()
            found.CopyToProto(proto)
            wanted += [dependency for dependency in found.dependencies if dependency.name not in files]
        self._add_all(files)
        return True

    async def _ask(self, name: str) -> bool:
        files: dict[str, FileDescriptorProto] = {}
        requests = [reflection_pb2.ServerReflectionRequest(file_containing_symbol=name)]
        asked: set[str] = set()
        while requests:
            async for file in self._answer(requests.pop()):
                files[file.name] = file
            missing = {path for file in files.values() for path in file.dependency} - files.keys() - asked
            asked |= missing
            requests += [reflection_pb2.ServerReflectionRequest(file_by_filename=path) for path in sorted(missing)]
        self._add_all(files)
        try:
            self.pool.FindMessageTypeByName(name)
        except KeyError:
            return False
        return True

    async def _answer(self, request: reflection_pb2.ServerReflectionRequest) -> AsyncIterator[FileDescriptorProto]:
        call = self._connection.open_bidi_stream(METHOD, reflection_pb2.ServerReflectionResponse)
        try:
            await call.write(request)
            await call.done_writing()
            async for response in call:
                for file in response.file_descriptor_response.file_descriptor_proto:
                    yield FileDescriptorProto.FromString(file)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:  # a server without reflection knows no type
                raise _status.from_call(error) from None
        finally:
            call.cancel()

    def _add_all(self, files: dict[str, FileDescriptorProto]) -> None:
        added: set[str] = set()
        for file in files.values():
            self._add_after(file, files, added)

    def _add_after(self, file: FileDescriptorProto, files: dict[str, FileDescriptorProto], added: set[str]) -> None:
        """Add a file behind those that it imports."""
        if file.name in added:
            return
        added.add(file.name)
        for dependency in file.dependency:
            if dependency in files:
                self._add_after(files[dependency], files, added)
        self._add(file)

    def _add(self, file: FileDescriptorProto) -> None:
        try:
            self.pool.FindFileByName(file.name)
        except KeyError:
            self.pool.AddSerializedFile(file.SerializeToString())
