"""The registered model, as DescribeModel tells it."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from comby.facade.v1 import model_pb2
from comby.server.application.contract import domain_of
from comby.server.application.registry import Registry


class _Identified(Protocol):
    @property
    def identifier(self) -> str: ...


IdentifiedT = TypeVar("IdentifiedT", bound=_Identified)


def domain_models(registry: Registry) -> list[model_pb2.DomainModel]:
    """Return every domain by name, each with its types by identifier."""
    models = {name: model_pb2.DomainModel(name=name) for name in registry.domains()}
    for service in sorted(registry.services, key=lambda one: one.full_name):
        models[domain_of(service.file)].services.append(service.full_name)
    for aggregate in _sorted(registry.aggregates.values()):
        models[aggregate.domain].aggregates.append(
            model_pb2.TypeModel(identifier=aggregate.identifier, message=aggregate.state.DESCRIPTOR.full_name)
        )
    for command in _sorted(registry.commands.values()):
        models[_domain(command)].commands.append(
            model_pb2.TypeModel(
                identifier=command.identifier,
                message=command.message.DESCRIPTOR.full_name,
                aggregate=command.aggregate.identifier,
            )
        )
    for query in _sorted(registry.queries.values()):
        models[_domain(query)].queries.append(
            model_pb2.TypeModel(identifier=query.identifier, message=query.message.DESCRIPTOR.full_name)
        )
    for event in _sorted(registry.events.values()):
        models[_domain(event)].events.append(
            model_pb2.TypeModel(
                identifier=event.identifier,
                message=event.message.DESCRIPTOR.full_name,
                aggregate=event.aggregate.identifier,
            )
        )
    return list(models.values())


def _domain(type: _Identified) -> str:
    """Return the domain of an identifier, "Domain.MessageName"."""
    return type.identifier.partition(".")[0]


def _sorted(types: Iterable[IdentifiedT]) -> list[IdentifiedT]:
    return sorted(types, key=lambda one: one.identifier)
