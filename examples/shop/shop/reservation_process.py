"""The process between order and stock: reserves what is ordered, cancels what can not be had, puts back what is
cancelled.

Every step is a command that takes effect once, so the process goes on where it was, wherever it was ended.
"""

from comby.server import ReactionContext, Reactor, Recorded, reacts
from shop.order.v1.order_pb2 import CancelOrder, LineAdded, OrderCancelled, OrderLine, OrderPlaced
from shop.stock.v1.stock_pb2 import ReleaseStock, ReserveStock
from shop.stock.v1.stock_types import StockReason


class ReservationProcess(Reactor):
    """Reacts to orders."""

    name = "reservation_process"
    from_start = True
    dispatch_on_replay = True

    @reacts(OrderPlaced)
    async def placed(self, recorded: Recorded[OrderPlaced], context: ReactionContext) -> None:
        for line in recorded.event.lines:
            if not await _reserve(recorded.aggregate_id, line, context):
                return

    @reacts(LineAdded)
    async def line_added(self, recorded: Recorded[LineAdded], context: ReactionContext) -> None:
        await _reserve(recorded.aggregate_id, recorded.event.line, context)

    @reacts(OrderCancelled)
    async def cancelled(self, recorded: Recorded[OrderCancelled], context: ReactionContext) -> None:
        for stock_id in recorded.event.reserved:
            await context.dispatch(ReleaseStock(stock_id=stock_id, order_id=recorded.aggregate_id))


async def _reserve(order_id: str, line: OrderLine, context: ReactionContext) -> bool:
    """Reserve one line; cancel the order when there is not enough. Tell whether it was reserved."""
    reserve = ReserveStock(stock_id=line.stock_id, order_id=order_id, quantity=line.quantity)
    outcome = await context.dispatch(reserve)
    if not outcome.executed and outcome.reason != StockReason.ORDER_CLOSED:
        await context.dispatch(CancelOrder(order_id=order_id, reason=outcome.reason))
    return outcome.executed
