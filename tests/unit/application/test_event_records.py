"""Records are written by hand: they must be what protobuf itself would write."""

from uuid import uuid4

import pytest

from comby.facade.v1 import event_pb2
from comby.server import Facade
from comby.server.application.event_codec import encode_context, new_event
from comby.server.application.registration import Registration
from comby.server.application.sealing import seal
from comby.server.domain.context import RequestContext
from comby.server.domain.identity import AggregateKey, Version
from shop.app import app
from shop.order.v1.order_pb2 import OrderCancelled, OrderPlaced


class _App(Facade):
    """A facade that only registers."""

    def __init__(self) -> None:
        Registration.__init__(self)


@pytest.mark.parametrize("message", [OrderPlaced(customer_email="a@b.co"), OrderCancelled()])
@pytest.mark.parametrize("version", [1, 127, 128, 2**40])
def test_a_record_is_the_event(message: OrderPlaced | OrderCancelled, version: int) -> None:
    facade = _App()
    app(facade)
    seal(facade.registry)
    kind = facade.registry.events[type(message)]
    key = AggregateKey("acme", "Order", str(uuid4()))
    context = RequestContext(tenant_id="acme", actor_id="someone", correlation_id="c" * 200)
    request_id = str(uuid4())
    event_id, event = new_event(key, Version(version), message, kind, request_id, encode_context(context))
    expected = event_pb2.Event(
        event_id=event_id,
        domain="Order",
        aggregate_id=key.aggregate_id,
        version=version,
        type=kind.identifier,
        revision=1,
        request_id=request_id,
    )
    expected.context.tenant_id = "acme"
    expected.context.actor_id = "someone"
    expected.context.correlation_id = "c" * 200
    expected.plain.Pack(message)
    assert expected == event_pb2.Event.FromString(event.record)
