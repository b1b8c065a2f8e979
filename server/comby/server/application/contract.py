"""Reads from descriptors what a contract says of each message: the only source of what is a command, a query or an
event."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from google.protobuf.descriptor import (
    Descriptor,
    FieldDescriptor,
    FileDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_pb2 import DescriptorProto
from google.protobuf.message import Message

from comby.options.v1 import options_pb2
from comby.server.domain.aggregate import Aggregate

Handler = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateType:
    """An aggregate. `model` is the name of its free read model. `stamp` names what its states were folded with: a stored state with
    another stamp is stale."""

    cls: type[Aggregate[Any]]
    identifier: str
    domain: str
    state: type[Message]
    model: str
    stamp: str
    indexed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandType:
    """A command and who handles it: `decide` of the aggregate itself, or `conduct`, which is async and may load
    several."""

    message: type[Message]
    identifier: str
    aggregate: AggregateType
    id_field: str
    creates: bool
    decide: Handler | None
    conduct: Handler | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """An event. `names` are all identifiers under which it is stored: its own and its aliases.

    The heads are what all events of the type have in common, as bytes; see `event_codec.event_heads`.
    """

    message: type[Message]
    identifier: str
    aggregate: AggregateType
    names: tuple[str, ...]
    closes: bool
    revision: int
    upcasters: Mapping[int, Handler]
    event_head: bytes
    any_head: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryType:
    """A query and who answers it. `reads` are the names of the projections that must cover a consistency token."""

    message: type[Message]
    identifier: str
    handler: Handler
    streams: bool
    reads: tuple[str, ...]


def descriptor_of(message: type[Message]) -> Descriptor:
    """Return a message's descriptor under the one type that the checker knows it by."""
    return cast(Descriptor, message.DESCRIPTOR)


def domain_of(file: FileDescriptor) -> str:
    """Return the name of the domain that owns a file; empty where it has none."""
    return str(file.GetOptions().Extensions[options_pb2.domain].name)


def identifier_of(message: Descriptor) -> str:
    """Return "Domain.MessageName"."""
    return f"{domain_of(message.file)}.{message.name}"


def is_command(message: Descriptor) -> bool:
    """Tell whether a message is marked as a command."""
    return bool(message.GetOptions().HasExtension(options_pb2.command))


def is_query(message: Descriptor) -> bool:
    """Tell whether a message is marked as a query."""
    return bool(message.GetOptions().HasExtension(options_pb2.query))


def is_event(message: Descriptor) -> bool:
    """Tell whether a message is marked as an event."""
    return bool(message.GetOptions().HasExtension(options_pb2.event))


def is_aggregate(message: Descriptor) -> bool:
    """Tell whether a message is marked as an aggregate's state."""
    return bool(message.GetOptions().HasExtension(options_pb2.aggregate))


def messages_of(file: FileDescriptor) -> Iterator[Descriptor]:
    """Yield the messages at the top of a file."""
    yield from file.message_types_by_name.values()


def services_of(file: FileDescriptor) -> Iterator[ServiceDescriptor]:
    """Yield the services of a file."""
    yield from file.services_by_name.values()


def methods_of(service: ServiceDescriptor) -> Iterator[MethodDescriptor]:
    """Yield the methods of a service."""
    yield from service.methods


def aggregate_id_field(command: Descriptor) -> FieldDescriptor | None:
    """Return the field that holds the aggregate's id, or None unless there is exactly one, and a string."""
    found = [field for field in command.fields if field.GetOptions().Extensions[options_pb2.aggregate_id]]
    if len(found) != 1 or found[0].type != FieldDescriptor.TYPE_STRING or found[0].is_repeated:
        return None
    return found[0]


def stamp_of(cls: type[Aggregate[Any]]) -> str:
    """Digest what a state depends on: its message, those inside it, and the aggregate's declared snapshot version."""
    seen: dict[str, bytes] = {}

    def visit(message: Descriptor) -> None:
        if message.full_name in seen:
            return
        copy = DescriptorProto()
        message.CopyToProto(copy)
        seen[message.full_name] = copy.SerializeToString(deterministic=True)
        for field in message.fields:
            if field.message_type is not None:
                visit(field.message_type)

    visit(descriptor_of(cls.state_type))
    digest = hashlib.sha256(b"".join(seen[name] for name in sorted(seen))).hexdigest()[:16]
    return f"{digest}:{cls.snapshot_version}"


def digest_of(files: Mapping[str, FileDescriptor]) -> str:
    """Digest a contract: the SHA-256 of its files, in hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(files[name].serialized_pb)
    return digest.hexdigest()
