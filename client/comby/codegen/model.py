"""What the generator knows of a set of .proto files: the files, their domains and the kinds of their messages."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from google.protobuf import descriptor_pool
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest
from google.protobuf.descriptor import Descriptor, FileDescriptor, MethodDescriptor

from comby.codegen.options import AggregateKind, CommandKind, EventKind, Kind, OptionReader, QueryKind
from comby.codegen.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A message that is marked as an aggregate, a command, a query or an event."""

    descriptor: Descriptor
    kind: Kind
    file: "ProtoFile"

    @property
    def at(self) -> str:
        return self.file.source.at(self.descriptor.full_name)

    @property
    def identifier(self) -> str:
        """The name in a running system, "Domain.MessageName"."""
        return f"{self.file.domain}.{self.descriptor.name}"


@dataclass(frozen=True, kw_only=True)
class ProtoFile:
    """One .proto file."""

    descriptor: FileDescriptor
    source: Source
    options: OptionReader
    generate: bool  # asked for, and not only imported by a file that is

    @cached_property
    def domain(self) -> str | None:
        return self.options.domain(self.descriptor)

    @cached_property
    def declared(self) -> tuple[Declared, ...]:
        """The marked messages, once for each mark, in the order of the file; nested ones too."""
        return tuple(
            Declared(descriptor=message, kind=kind, file=self)
            for message in _messages(self.descriptor.message_types_by_name.values())
            for kind in self.options.kinds(message)
        )

    @property
    def methods(self) -> Iterator[MethodDescriptor]:
        for service in self.descriptor.services_by_name.values():
            yield from service.methods

    def events(self) -> list[Declared]:
        return [declared for declared in self.declared if isinstance(declared.kind, EventKind)]


class Contract:
    """All files of a request, by kind and by name."""

    def __init__(self, request: CodeGeneratorRequest) -> None:
        pool = descriptor_pool.DescriptorPool()
        for file in request.proto_file:
            pool.AddSerializedFile(file.SerializeToString())
        self.options = OptionReader(pool)
        asked = set(request.file_to_generate)
        self.files = tuple(
            ProtoFile(
                descriptor=pool.FindFileByName(file.name),
                source=Source(file),
                options=self.options,
                generate=file.name in asked,
            )
            for file in request.proto_file
        )
        self.declared = tuple(declared for file in self.files for declared in file.declared)

    @property
    def generated(self) -> tuple[ProtoFile, ...]:
        return tuple(file for file in self.files if file.generate)

    def aggregates(self, domain: str) -> list[Declared]:
        """Return the aggregates of a domain, over all its files."""
        return [
            declared
            for declared in self.declared
            if declared.file.domain == domain and isinstance(declared.kind, AggregateKind)
        ]

    def package_events(self, package: str) -> list[Declared]:
        """Return the events of a package, which is one domain, over all its files."""
        return [event for file in self.files if file.descriptor.package == package for event in file.events()]

    def rpc_kind(self, message: Descriptor) -> CommandKind | QueryKind | None:
        """Return what an RPC with this input is for; None for neither a command nor a query."""
        for kind in self.options.kinds(message):
            if isinstance(kind, CommandKind | QueryKind):
                return kind
        return None


def _messages(messages: Iterable[Descriptor]) -> Iterator[Descriptor]:
    for message in messages:
        yield message
        yield from _messages(message.nested_types)
