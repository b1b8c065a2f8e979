"""Sealing: resolves every type of an app to its one owner, and refuses what does not fit together."""

import inspect
from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from comby.options.v1 import options_pb2
from comby.server.application.contract import (
    AggregateType,
    CommandType,
    EventType,
    QueryType,
    aggregate_id_field,
    descriptor_of,
    digest_of,
    domain_of,
    identifier_of,
    is_command,
    is_event,
    is_query,
    messages_of,
    methods_of,
    services_of,
)
from comby.server.application.event_codec import event_heads
from comby.server.application.indexing import check_indexed
from comby.server.application.names import check_domain
from comby.server.application.refusals import RegistrationRefused
from comby.server.application.registry import Registry
from comby.server.application.state_queries import StateQueryHandlers
from comby.server.application.tables import put_once
from comby.server.domain.projection import Projection
from comby.server.domain.reactor import Reactor


def seal(registry: Registry) -> None:
    """Resolve every type; raise RegistrationRefused when a type has no owner or two, or a name is not allowed."""
    _Sealing(registry).seal()


class _Sealing:
    """One pass over a filled registry."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def seal(self) -> None:
        for aggregate in self.registry.by_class.values():
            self._adopt(descriptor_of(aggregate.state).file)
        for message in self._handled():
            self._adopt(descriptor_of(message).file)
        self._seal_events()
        self._seal_commands()
        self._seal_queries()
        self._check_consumed(self.registry.projections)
        self._check_consumed(self.registry.reactors)
        for projection in self.registry.projections.values():
            check_indexed(descriptor_of(projection.row_type), projection.indexed)
        self._seal_services()
        self.registry.digest = digest_of(self.registry.files)

    def _handled(self) -> list[type[Message]]:
        registry = self.registry
        commands = [message for handlers in registry.command_handlers for message in handlers.handlers]
        queries = [message for handlers in registry.query_handlers for message in handlers.handlers]
        projected = [message for projection in registry.projections.values() for message in projection.handlers]
        reacted = [message for reactor in registry.reactors.values() for message in reactor.handlers]
        return [*commands, *queries, *projected, *reacted]

    def _check_consumed(self, consumers: Mapping[str, Projection[Any] | Reactor]) -> None:
        for name, consumer in consumers.items():
            for message in consumer.handlers:
                if message not in self.registry.events:
                    raise RegistrationRefused(f"{name} handles {message.DESCRIPTOR.full_name}, which is no event here")

    def _adopt(self, file: FileDescriptor) -> None:
        if file.name in self.registry.files:
            return
        check_domain(file)
        self.registry.files[file.name] = file

    def _owner(self, message: Descriptor, named: str) -> AggregateType:
        """Find the aggregate that a command or event belongs to."""
        domain = domain_of(message.file)
        if named:
            owner = self.registry.aggregates.get(f"{domain}.{named}")
            if owner is None:
                raise RegistrationRefused(
                    f"{message.full_name} names the aggregate {named}, which {domain} does not have"
                )
            return owner
        owners = [aggregate for aggregate in self.registry.aggregates.values() if aggregate.domain == domain]
        if len(owners) != 1:
            raise RegistrationRefused(
                f"{message.full_name}: {domain} has {len(owners)} registered aggregates; "
                "register one, or name it with the option's aggregate"
            )
        return owners[0]

    def _seal_events(self) -> None:
        for file in self.registry.files.values():
            for message in filter(is_event, messages_of(file)):
                options = message.GetOptions().Extensions[options_pb2.event]
                owner = self._owner(message, options.aggregate)
                cls = GetMessageClass(message)
                if cls not in owner.cls.appliers:
                    raise RegistrationRefused(f"{owner.cls.__name__} has no applier for the event {message.full_name}")
                revision = options.revision or 1
                event_head, any_head = event_heads(
                    identifier_of(message), owner.domain, revision, f"type.googleapis.com/{message.full_name}"
                )
                event = EventType(
                    message=cls,
                    identifier=identifier_of(message),
                    aggregate=owner,
                    names=(identifier_of(message), *options.aliases),
                    closes=options.closes,
                    revision=revision,
                    upcasters={one.revision: one.function for one in self.registry.upcasters if one.event is cls},
                    event_head=event_head,
                    any_head=any_head,
                )
                self.registry.events[cls] = event
                for name in event.names:
                    put_once(self.registry.events_by_name, name, event, "events")
        for aggregate in self.registry.by_class.values():
            for cls in aggregate.cls.appliers:
                if cls not in self.registry.events or self.registry.events[cls].aggregate is not aggregate:
                    raise RegistrationRefused(
                        f"{aggregate.cls.__name__} applies {cls.DESCRIPTOR.full_name}, which is no event of it"
                    )

    def _seal_commands(self) -> None:
        conductors: dict[type[Message], Any] = {}
        for handlers in self.registry.command_handlers:
            for cls, function in handlers.handlers.items():
                put_once(conductors, cls, getattr(handlers, function.__name__), "handlers of a command")
        for file in self.registry.files.values():
            for message in filter(is_command, messages_of(file)):
                cls = GetMessageClass(message)
                options = message.GetOptions().Extensions[options_pb2.command]
                owner = self._owner(message, options.aggregate)
                decide = owner.cls.handlers.get(cls)
                conduct = conductors.get(cls)
                if (decide is None) == (conduct is None):
                    count = "no handler" if decide is None else "two handlers"
                    raise RegistrationRefused(f"the command {message.full_name} has {count}")
                field = aggregate_id_field(message)
                if field is None:
                    raise RegistrationRefused(
                        f"{message.full_name} needs exactly one string field marked as aggregate_id"
                    )
                command = CommandType(
                    message=cls,
                    identifier=identifier_of(message),
                    aggregate=owner,
                    id_field=field.name,
                    creates=options.creates,
                    decide=decide,
                    conduct=conduct,
                )
                put_once(self.registry.commands, message.full_name, command, "commands")
        known = {command.message for command in self.registry.commands.values()}
        for aggregate in self.registry.by_class.values():
            for cls in aggregate.cls.handlers:
                if (
                    cls not in known
                    or self.registry.commands[cls.DESCRIPTOR.full_name].decide is not aggregate.cls.handlers[cls]
                ):
                    raise RegistrationRefused(
                        f"{aggregate.cls.__name__} handles {cls.DESCRIPTOR.full_name}, which is no command of it"
                    )
        for cls in conductors:
            if cls not in known:
                raise RegistrationRefused(f"{cls.DESCRIPTOR.full_name} is handled, and is no command")

    def _seal_queries(self) -> None:
        for spec in self.registry.state_queries:
            self.registry.query_handlers.append(StateQueryHandlers(spec, self.registry.aggregate_of(spec.aggregate)))
        for handlers in self.registry.query_handlers:
            reads = tuple(projection.name for projection in handlers.reads)
            for name in reads:
                if name not in self.registry.projections:
                    raise RegistrationRefused(
                        f"{type(handlers).__name__} reads the projection {name}, which is not registered"
                    )
            for cls, function in handlers.handlers.items():
                message = descriptor_of(cls)
                if not is_query(message):
                    raise RegistrationRefused(f"{message.full_name} is answered, and is no query")
                method = (
                    function if not hasattr(type(handlers), function.__name__) else getattr(handlers, function.__name__)
                )
                query = QueryType(
                    message=cls,
                    identifier=identifier_of(message),
                    handler=method,
                    streams=inspect.isasyncgenfunction(function),
                    reads=reads,
                )
                put_once(self.registry.queries, message.full_name, query, "handlers of a query")
        for file in self.registry.files.values():
            for message in filter(is_query, messages_of(file)):
                if message.full_name not in self.registry.queries:
                    raise RegistrationRefused(f"the query {message.full_name} has no handler")

    def _seal_services(self) -> None:
        for file in self.registry.files.values():
            for service in services_of(file):
                for method in methods_of(service):
                    kind = method.input_type.full_name
                    if kind not in self.registry.commands and kind not in self.registry.queries:
                        raise RegistrationRefused(
                            f"{method.full_name} takes {kind}, which is neither a command nor a query here"
                        )
                    if kind in self.registry.queries and self.registry.queries[kind].streams != method.server_streaming:
                        raise RegistrationRefused(f"{method.full_name} and its handler differ in whether they stream")
                self.registry.services.append(service)
