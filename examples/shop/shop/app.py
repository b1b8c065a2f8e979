"""The shop: what it consists of."""

from comby.server import Facade, StateQueries
from shop.order.v1.order_pb2 import GetOrder, WatchOrder
from shop.order_aggregate import OrderAggregate
from shop.order_board import OrderBoard, OrderBoardQueries
from shop.reservation_process import ReservationProcess
from shop.stock.v1.stock_pb2 import GetStock
from shop.stock_aggregate import Reservations, StockAggregate


def app(facade: Facade) -> None:
    """Register the shop with a facade."""
    facade.register(
        OrderAggregate,
        StockAggregate,
        Reservations,
        OrderBoard,
        OrderBoardQueries,
        ReservationProcess,
        StateQueries(OrderAggregate, get=GetOrder, watch=WatchOrder),
        StateQueries(StockAggregate, get=GetStock),
    )
