"""The stock: what is on the shelf, and for whom it is reserved."""

from comby.server import Aggregate, CommandContext, CommandHandlers, Rejected, applies, handles
from shop.order_aggregate import OrderAggregate
from shop.stock.v1.stock_pb2 import (
    AddStock,
    ReleaseStock,
    ReserveStock,
    Stock,
    StockAdded,
    StockReleased,
    StockReserved,
)
from shop.stock.v1.stock_types import StockReason


class StockAggregate(Aggregate[Stock]):
    """A stock item: a number on the shelf, and reservations by order."""

    @handles(AddStock)
    def add(self, command: AddStock) -> None:
        self.record(StockAdded(sku=command.sku, quantity=command.quantity))

    @handles(ReleaseStock)
    def release(self, command: ReleaseStock) -> None:
        if command.order_id in self.state.reserved:
            quantity = self.state.reserved[command.order_id]
            self.record(StockReleased(order_id=command.order_id, quantity=quantity))

    def reserve(self, order_id: str, quantity: int) -> None:
        """Reserve stock for an order."""
        if self.state.available < quantity:
            raise Rejected(StockReason.OUT_OF_STOCK, available=self.state.available)
        self.record(StockReserved(order_id=order_id, quantity=quantity))

    @applies(StockAdded)
    def added(self, event: StockAdded) -> None:
        self.state.stock_id = self.id
        self.state.sku = event.sku
        self.state.available = event.quantity

    @applies(StockReserved)
    def reserved(self, event: StockReserved) -> None:
        self.state.available -= event.quantity
        self.state.reserved[event.order_id] = event.quantity

    @applies(StockReleased)
    def released(self, event: StockReleased) -> None:
        self.state.available += event.quantity
        del self.state.reserved[event.order_id]


class Reservations(CommandHandlers):
    """Reserves stock and notes it on the order, both or neither."""

    @handles(ReserveStock)
    async def reserve(self, command: ReserveStock, context: CommandContext) -> None:
        order = await context.load(OrderAggregate, command.order_id)
        stock = await context.load(StockAggregate, command.stock_id)
        if not order.exists or not order.is_open:
            raise Rejected(StockReason.ORDER_CLOSED, order_id=command.order_id)
        if command.stock_id in order.state.reserved:
            return
        stock.reserve(command.order_id, command.quantity)
        order.reserve_line(command.stock_id)
