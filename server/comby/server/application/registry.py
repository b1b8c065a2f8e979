"""The registry: every type that a facade serves, with its one owner. All that is wrong with an app is refused at
start."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from comby.options.v1 import options_pb2
from comby.server.application.contract import (
    AggregateType,
    CommandType,
    EventType,
    QueryType,
    descriptor_of,
    domain_of,
    identifier_of,
    is_aggregate,
    stamp_of,
)
from comby.server.application.indexing import check_indexed
from comby.server.application.names import check_name
from comby.server.application.refusals import RegistrationRefused
from comby.server.application.tables import put_once
from comby.server.domain.aggregate import Aggregate
from comby.server.domain.command import CommandHandlers
from comby.server.domain.projection import Projection
from comby.server.domain.query import QueryHandlers, StateQueries
from comby.server.domain.reactor import Reactor
from comby.server.domain.upcasting import Upcaster

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
    """What an app consists of. Fill it with `add`, then seal it, which resolves every type and refuses what does not
    fit together."""

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
        self.events_by_name: dict[str, EventType] = {}
        self.by_class: dict[type[Aggregate[Any]], AggregateType] = {}
        self.command_handlers: list[CommandHandlers] = []
        self.query_handlers: list[QueryHandlers] = []
        self.state_queries: list[StateQueries] = []
        self.upcasters: list[Upcaster[Any]] = []

    def add(self, registrable: Registrable) -> None:
        """Add one thing; a class of handlers is instantiated without arguments."""
        if isinstance(registrable, type):
            if issubclass(registrable, Aggregate):
                self._add_aggregate(registrable)
                return
            registrable = registrable()
        match registrable:
            case StateQueries():
                self.state_queries.append(registrable)
            case Upcaster():
                self.upcasters.append(registrable)
            case CommandHandlers():
                self.command_handlers.append(registrable)
            case QueryHandlers():
                self.query_handlers.append(registrable)
            case Projection():
                put_once(self.projections, check_name(registrable), registrable, "projections")
            case Reactor():
                put_once(self.reactors, check_name(registrable), registrable, "reactors")

    def aggregate_of(self, cls: type[Aggregate[Any]]) -> AggregateType:
        """Return the registered aggregate; raises RegistrationRefused when it is not."""
        found = self.by_class.get(cls)
        if found is None:
            raise RegistrationRefused(f"{cls.__name__} is not registered")
        return found

    def event_named(self, name: str) -> EventType | None:
        """Return the event stored under an identifier, its own or an alias."""
        return self.events_by_name.get(name)

    def names_of(self, events: Mapping[type[Message], object] | Sequence[type[Message]]) -> frozenset[str]:
        """Return all identifiers under which events are stored."""
        return frozenset(name for message in events for name in self.events[message].names)

    def domains(self) -> Sequence[str]:
        """Return the names of all domains, sorted."""
        return sorted({domain_of(file) for file in self.files.values()})

    def _add_aggregate(self, cls: type[Aggregate[Any]]) -> None:
        state = getattr(cls, "state_type", None)
        if state is None or not is_aggregate(state.DESCRIPTOR):
            raise RegistrationRefused(
                f"{cls.__name__} needs a state that is marked as an aggregate: class {cls.__name__}(Aggregate[State])"
            )
        descriptor = descriptor_of(state)
        indexed = tuple(descriptor.GetOptions().Extensions[options_pb2.aggregate].indexed)
        check_indexed(descriptor, indexed)
        identifier = identifier_of(descriptor)
        aggregate = AggregateType(
            cls=cls,
            identifier=identifier,
            domain=domain_of(descriptor.file),
            state=state,
            model=f"state:{identifier}",
            stamp=stamp_of(cls),
            indexed=indexed,
        )
        put_once(self.aggregates, aggregate.identifier, aggregate, "aggregates")
        self.by_class[cls] = aggregate
