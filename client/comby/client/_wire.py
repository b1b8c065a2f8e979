"""Small conversions between Python and the well-known messages."""

from datetime import UTC, datetime, timedelta
from typing import TypeVar

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from comby.client._metadata import in_utc
from comby.options.v1 import options_pb2

M = TypeVar("M", bound=Message)


def packed(message: Message) -> Any:
    """Return the message as Any; one that is packed already stays as it is."""
    if isinstance(message, Any):
        return message
    any_ = Any()
    any_.Pack(message)
    return any_


def unpacked(any_: Any, type_: type[M]) -> M:
    """Return the message; raises TypeError when it is another one."""
    if any_.TypeName() != type_.DESCRIPTOR.full_name:
        raise TypeError(f"the answer is {any_.TypeName()}, not {type_.DESCRIPTOR.full_name}")
    return type_.FromString(any_.value)


def known(any_: Any) -> Message:
    """Return the message if its type is in the default pool (its module was imported); else the Any itself."""
    try:
        descriptor = descriptor_pool.Default().FindMessageTypeByName(any_.TypeName())
    except KeyError:
        return any_
    class_: type[Message] = message_factory.GetMessageClass(descriptor)
    return class_.FromString(any_.value)


def domain_of(type_: type[Message]) -> str:
    """Return the domain of a message; raises ValueError for one without."""
    options = type_.DESCRIPTOR.file.GetOptions()
    if not options.HasExtension(options_pb2.domain):
        name = type_.DESCRIPTOR.full_name
        raise ValueError(f"{name} belongs to no domain: its file has no option comby.options.v1.domain")
    return options.Extensions[options_pb2.domain].name


def identifier(type_: type[Message]) -> str:
    """Return "Domain.MessageName"."""
    return f"{domain_of(type_)}.{type_.DESCRIPTOR.name}"


def duration(seconds: float) -> Duration:
    message = Duration()
    message.FromTimedelta(timedelta(seconds=seconds))
    return message


def timestamp(moment: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(in_utc(moment))
    return message


def moment(message: Timestamp) -> datetime:
    """Return the time in UTC."""
    return message.ToDatetime(tzinfo=UTC)
