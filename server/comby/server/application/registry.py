"""The registry: every type that a facade serves, with its one owner. All that is wrong with an app is refused here, at start."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from comby.options.v1 import options_pb2
from comby.server.application.contract import (
    AggregateType,
    CommandType,
    EventType,
    QueryType,
    aggregate_id_field,
    digest_of,
    domain_of,
    identifier_of,
    is_aggregate,
    is_command,
    is_event,
    is_query,
    messages_of,
    methods_of,
    services_of,
    stamp_of,
)
from comby.server.application.indexing import check_indexed
from comby.server.application.names import check_domain, check_name
from comby.server.application.refusals import RegistrationRefused
from comby.server.application.state_queries import StateQueryHandlers
from comby.server.domain.aggregate import Aggregate
from comby.server.domain.command import CommandHandlers
from comby.server.domain.projection import Projection
from comby.server.domain.query import QueryHandlers, StateQueries
from comby.server.domain.reactor import Reactor
from comby.server.domain.upcasting import Upcaster
from google.protobuf.descriptor import Descriptor, FileDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

__all__ = ["Registrable", "RegistrationRefused", "Registry"]

Registrable: TypeAlias = (
    type[Aggregate[Any]]
    | type[CommandHandlers]
    | type[QueryHandlers]
    | type[Projection[Any]]
    | type[Reactor]
    | CommandHandlers
    | QueryHandlers
    | Projection[Any]
    | Reactor
    | StateQueries
    | Upcaster[Any]
)


class Registry:
    """What an app consists of. Fill it with `add`, then `seal` it, which refuses what does not fit together."""

    def __init__(self) -> None:
        self.aggregates: dict[str, AggregateType] = {}
        self.commands: dict[str, CommandType] = {}
        self.queries: dict[str, QueryType] = {}
        self.events: dict[type[Message], EventType] = {}
        self.projections: dict[str, Projection[Any]] = {}
        self.reactors: dict[str, Reactor] = {}
        self.files: dict[str, FileDescriptor] = {}
        self.services: list[ServiceDescriptor] = []
        self.digest = ""
        self._events_by_name: dict[str, EventType] = {}
        self._by_class: dict[type[Aggregate[Any]], AggregateType] = {}
        self._command_handlers: list[CommandHandlers] = []
        self._query_handlers: list[QueryHandlers] = []
        self._state_queries: list[StateQueries] = []
        self._upcasters: list[Upcaster[Any]] = []

    def add(self, registrable: Registrable) -> None:
        """Add one thing; a class of handlers is instantiated without arguments."""
        if isinstance(registrable, type):
            if issubclass(registrable, Aggregate):
                self._add_aggregate(registrable)
                return
            registrable = registrable()
        match registrable:
            case StateQueries():
                self._state_queries.append(registrable)
            case Upcaster():
                self._upcasters.append(registrable)
            case CommandHandlers():
                self._command_handlers.append(registrable)
            case QueryHandlers():
                self._query_handlers.append(registrable)
            case Projection():
                _put(self.projections, check_name(registrable), registrable, "projections")
            case Reactor():
                _put(self.reactors, check_name(registrable), registrable, "reactors")

    def seal(self) -> None:
        """Resolve every type; raise RegistrationRefused when a type has no owner or two, or a name is not allowed."""
        for aggregate in self._by_class.values():
            self._adopt(aggregate.state.DESCRIPTOR.file)
        for handlers in (*self._command_handlers, *self._query_handlers, *self.projections.values(), *self.reactors.values()):
            for message in handlers.handlers:
                self._adopt(message.DESCRIPTOR.file)
        self._seal_events()
        self._seal_commands()
        self._seal_queries()
        for consumer in (*self.projections.values(), *self.reactors.values()):
            for message in consumer.handlers:
                if message not in self.events:
                    raise RegistrationRefused(f"{consumer.name} handles {message.DESCRIPTOR.full_name}, which is no event here")
        for projection in self.projections.values():
            check_indexed(projection.row_type.DESCRIPTOR, projection.indexed)
        self._seal_services()
        self.digest = digest_of(self.files)

    def aggregate_of(self, cls: type[Aggregate[Any]]) -> AggregateType:
        """Return the registered aggregate; raises RegistrationRefused when it is not."""
        found = self._by_class.get(cls)
        if found is None:
            raise RegistrationRefused(f"{cls.__name__} is not registered")
        return found

    def event_named(self, name: str) -> EventType | None:
        """Return the event stored under an identifier, its own or an alias."""
        return self._events_by_name.get(name)

    def names_of(self, events: Mapping[type[Message], object] | Sequence[type[Message]]) -> frozenset[str]:
        """Return all identifiers under which events are stored."""
        return frozenset(name for message in events for name in self.events[message].names)

    def domains(self) -> Sequence[str]:
        """Return the names of all domains, sorted."""
        return sorted({domain_of(file) for file in self.files.values()})

    def _adopt(self, file: FileDescriptor) -> None:
        if file.name in self.files:
            return
        check_domain(file)
        self.files[file.name] = file

    def _add_aggregate(self, cls: type[Aggregate[Any]]) -> None:
        state = getattr(cls, "state_type", None)
        if state is None or not is_aggregate(state.DESCRIPTOR):
            raise RegistrationRefused(f"{cls.__name__} needs a state that is marked as an aggregate: class {cls.__name__}(Aggregate[State])")
        descriptor = state.DESCRIPTOR
        indexed = tuple(descriptor.GetOptions().Extensions[options_pb2.aggregate].indexed)
        check_indexed(descriptor, indexed)
        aggregate = AggregateType(
            cls=cls,
            identifier=identifier_of(descriptor),
            domain=domain_of(descriptor.file),
            state=state,
            stamp=stamp_of(cls),
            indexed=indexed,
        )
        _put(self.aggregates, aggregate.identifier, aggregate, "aggregates")
        self._by_class[cls] = aggregate

    def _owner(self, message: Descriptor, named: str) -> AggregateType:
        """Find the aggregate that a command or event belongs to."""
        domain = domain_of(message.file)
        if named:
            owner = self.aggregates.get(f"{domain}.{named}")
            if owner is None:
                raise RegistrationRefused(f"{message.full_name} names the aggregate {named}, which {domain} does not have")
            return owner
        owners = [aggregate for aggregate in self.aggregates.values() if aggregate.domain == domain]
        if len(owners) != 1:
            raise RegistrationRefused(
                f"{message.full_name}: {domain} has {len(owners)} registered aggregates; register one, or name it with the option's aggregate"
            )
        return owners[0]

    def _seal_events(self) -> None:
        for file in self.files.values():
            for message in filter(is_event, messages_of(file)):
                options = message.GetOptions().Extensions[options_pb2.event]
                owner = self._owner(message, options.aggregate)
                cls = GetMessageClass(message)
                if cls not in owner.cls.appliers:
                    raise RegistrationRefused(f"{owner.cls.__name__} has no applier for the event {message.full_name}")
                event = EventType(
                    message=cls,
                    identifier=identifier_of(message),
                    aggregate=owner,
                    names=(identifier_of(message), *options.aliases),
                    closes=options.closes,
                    revision=options.revision or 1,
                    type_url=f"type.googleapis.com/{message.full_name}",
                    upcasters={one.revision: one.function for one in self._upcasters if one.event is cls},
                )
                self.events[cls] = event
                for name in event.names:
                    _put(self._events_by_name, name, event, "events")
        for aggregate in self._by_class.values():
            for cls in aggregate.cls.appliers:
                if cls not in self.events or self.events[cls].aggregate is not aggregate:
                    raise RegistrationRefused(f"{aggregate.cls.__name__} applies {cls.DESCRIPTOR.full_name}, which is no event of it")

    def _seal_commands(self) -> None:
        conductors: dict[type[Message], Any] = {}
        for handlers in self._command_handlers:
            for cls, function in handlers.handlers.items():
                _put(conductors, cls, getattr(handlers, function.__name__), "handlers of a command")
        for file in self.files.values():
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
                    raise RegistrationRefused(f"{message.full_name} needs exactly one string field marked as aggregate_id")
                command = CommandType(
                    message=cls,
                    identifier=identifier_of(message),
                    aggregate=owner,
                    id_field=field.name,
                    creates=options.creates,
                    decide=decide,
                    conduct=conduct,
                )
                _put(self.commands, message.full_name, command, "commands")
        known = {command.message for command in self.commands.values()}
        for aggregate in self._by_class.values():
            for cls in aggregate.cls.handlers:
                if cls not in known or self.commands[cls.DESCRIPTOR.full_name].decide is not aggregate.cls.handlers[cls]:
                    raise RegistrationRefused(f"{aggregate.cls.__name__} handles {cls.DESCRIPTOR.full_name}, which is no command of it")
        for cls in conductors:
            if cls not in known:
                raise RegistrationRefused(f"{cls.DESCRIPTOR.full_name} is handled, and is no command")

    def _seal_queries(self) -> None:
        for spec in self._state_queries:
            self._query_handlers.append(StateQueryHandlers(spec, self.aggregate_of(spec.aggregate)))
        for handlers in self._query_handlers:
            reads = tuple(projection.name for projection in handlers.reads)
            for name in reads:
                if name not in self.projections:
                    raise RegistrationRefused(f"{type(handlers).__name__} reads the projection {name}, which is not registered")
            for cls, function in handlers.handlers.items():
                message = cls.DESCRIPTOR
                if not is_query(message):
                    raise RegistrationRefused(f"{message.full_name} is answered, and is no query")
                method = function if not hasattr(type(handlers), function.__name__) else getattr(handlers, function.__name__)
                query = QueryType(
                    message=cls,
                    identifier=identifier_of(message),
                    handler=method,
                    streams=inspect.isasyncgenfunction(function),
                    reads=reads,
                )
                _put(self.queries, message.full_name, query, "handlers of a query")
        for file in self.files.values():
            for message in filter(is_query, messages_of(file)):
                if message.full_name not in self.queries:
                    raise RegistrationRefused(f"the query {message.full_name} has no handler")

    def _seal_services(self) -> None:
        for file in self.files.values():
            for service in services_of(file):
                for method in methods_of(service):
                    kind = method.input_type.full_name
                    if kind not in self.commands and kind not in self.queries:
                        raise RegistrationRefused(f"{method.full_name} takes {kind}, which is neither a command nor a query here")
                    if kind in self.queries and self.queries[kind].streams != method.server_streaming:
                        raise RegistrationRefused(f"{method.full_name} and its handler differ in whether they stream")
                self.services.append(service)


def _put(table: dict[Any, Any], key: Any, value: Any, what: str) -> None:
    if key in table:
        name = key.DESCRIPTOR.full_name if isinstance(key, type) else key
        raise RegistrationRefused(f"two {what}: {name}")
    table[key] = value
