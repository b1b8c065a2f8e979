"""All that is served, gathered into the table."""

from comby.facade.v1 import facade_service_pb2
from comby.server.application.facade import Facade
from comby.server.rpc.commands import CommandMethods
from comby.server.rpc.events import EventMethods
from comby.server.rpc.health import HEALTH_SERVICE, Health
from comby.server.rpc.operations import OperationMethods
from comby.server.rpc.pipeline import PipelineMethod
from comby.server.rpc.queries import QueryMethods
from comby.server.rpc.reflection import REFLECTION_SERVICES, Reflection
from comby.server.rpc.table import Table
from comby.server.rpc.typed import typed_methods

FACADE_SERVICE: str = facade_service_pb2.DESCRIPTOR.services_by_name["FacadeService"].full_name
"""Read from the descriptor, which reflection shows: whoever names the service has its contract loaded."""


def services_of(facade: Facade) -> list[str]:
    """Return the names of the facade's own service and of every domain's."""
    return [FACADE_SERVICE, *(service.full_name for service in facade.registry.services)]


def build_table(facade: Facade, health: Health, version: str) -> Table:
    """Return the table of everything that a started facade serves. `version` is the server's own."""
    return Table(
        [
            *CommandMethods(facade).methods(),
            *PipelineMethod(facade).methods(),
            *QueryMethods(facade).methods(),
            *EventMethods(facade).methods(),
            *OperationMethods(facade, version).methods(),
            *typed_methods(facade),
            *health.methods(),
            *Reflection([*services_of(facade), HEALTH_SERVICE, *REFLECTION_SERVICES]).methods(),
        ],
        facade.limits,
    )
