"""The order board: a read model of all orders, by customer."""

from comby.server import Projection, QueryContext, QueryHandlers, Recorded, Rows, answers, projects
from shop.order.v1.order_pb2 import (
    ORDER_STATUS_CANCELLED,
    ORDER_STATUS_PAID,
    ORDER_STATUS_PLACED,
    ORDER_STATUS_SHIPPED,
    LineAdded,
    ListOrders,
    OrderCancelled,
    OrderPage,
    OrderPaid,
    OrderPlaced,
    OrderShipped,
    OrderStatus,
    OrderSummary,
)


class OrderBoard(Projection[OrderSummary]):
    """One row per order."""

    name = "order_board"
    indexed = ("customer_email", "status", "placed_position")

    @projects(OrderPlaced)
    async def placed(self, recorded: Recorded[OrderPlaced], rows: Rows[OrderSummary]) -> None:
        event = recorded.event
        rows.put(
            recorded.aggregate_id,
            OrderSummary(
                order_id=recorded.aggregate_id,
                customer_email=event.customer_email,
                status=ORDER_STATUS_PLACED,
                total_cents=sum(line.quantity * line.unit_price_cents for line in event.lines),
                placed_position=recorded.position,
            ),
        )

    @projects(LineAdded)
    async def line_added(self, recorded: Recorded[LineAdded], rows: Rows[OrderSummary]) -> None:
        row = await rows.get(recorded.aggregate_id)
        if row is not None:
            row.total_cents += recorded.event.line.quantity * recorded.event.line.unit_price_cents
            rows.put(recorded.aggregate_id, row)

    @projects(OrderPaid)
    async def paid(self, recorded: Recorded[OrderPaid], rows: Rows[OrderSummary]) -> None:
        await _set_status(recorded.aggregate_id, rows, ORDER_STATUS_PAID)

    @projects(OrderShipped)
    async def shipped(self, recorded: Recorded[OrderShipped], rows: Rows[OrderSummary]) -> None:
        await _set_status(recorded.aggregate_id, rows, ORDER_STATUS_SHIPPED)

    @projects(OrderCancelled)
    async def cancelled(self, recorded: Recorded[OrderCancelled], rows: Rows[OrderSummary]) -> None:
        await _set_status(recorded.aggregate_id, rows, ORDER_STATUS_CANCELLED)


async def _set_status(order_id: str, rows: Rows[OrderSummary], status: OrderStatus.ValueType) -> None:
    row = await rows.get(order_id)
    if row is not None:
        row.status = status
        rows.put(order_id, row)


class OrderBoardQueries(QueryHandlers):
    """Lists orders, the newest first."""

    reads = (OrderBoard,)

    @answers(ListOrders)
    async def list_orders(self, query: ListOrders, context: QueryContext) -> OrderPage:
        filter: dict[str, str | int | bool] = {}
        if query.customer_email:
            filter["customer_email"] = query.customer_email
        if query.status:
            filter["status"] = query.status
        page = await context.rows(OrderBoard).list(
            filter=filter,
            order_by="placed_position",
            descending=True,
            page_size=query.page_size,
            page_token=query.page_token,
        )
        return OrderPage(orders=page.rows, next_page_token=page.next_page_token)
