"""The order: what may happen to it, and when not."""

from comby.server import Aggregate, Rejected, applies, handles
from shop.order.v1.order_pb2 import (
    ORDER_STATUS_CANCELLED,
    ORDER_STATUS_PAID,
    ORDER_STATUS_PLACED,
    ORDER_STATUS_SHIPPED,
    AddLine,
    CancelOrder,
    LineAdded,
    LineReserved,
    Order,
    OrderCancelled,
    OrderPaid,
    OrderPlaced,
    OrderShipped,
    OrderStatus,
    PayOrder,
    PlaceOrder,
    ShipOrder,
)
from shop.order.v1.order_types import OrderReason


class OrderAggregate(Aggregate[Order]):
    """An order: placed, paid, shipped; immutable once cancelled."""

    @handles(PlaceOrder)
    def place(self, command: PlaceOrder) -> None:
        seen: set[str] = set()
        for line in command.lines:
            if line.stock_id in seen:
                raise Rejected(OrderReason.DUPLICATE_LINE, stock_id=line.stock_id)
            seen.add(line.stock_id)
        self.record(OrderPlaced(customer_email=command.customer_email, lines=command.lines))

    @handles(AddLine)
    def add_line(self, command: AddLine) -> None:
        self._must_be_placed()
        if any(line.stock_id == command.line.stock_id for line in self.state.lines):
            raise Rejected(OrderReason.DUPLICATE_LINE, stock_id=command.line.stock_id)
        self.record(LineAdded(line=command.line))

    @handles(PayOrder)
    def pay(self, command: PayOrder) -> None:
        self._must_be_placed()
        if command.amount_cents != self.state.total_cents:
            raise Rejected(OrderReason.WRONG_AMOUNT, total_cents=self.state.total_cents)
        self.record(OrderPaid(amount_cents=command.amount_cents))

    @handles(ShipOrder)
    def ship(self, command: ShipOrder) -> None:
        self._must_not_be_cancelled()
        if self.state.status != ORDER_STATUS_PAID:
            raise Rejected(OrderReason.NOT_PAID, status=OrderStatus.Name(self.state.status))
        for line in self.state.lines:
            if line.stock_id not in self.state.reserved:
                raise Rejected(OrderReason.NOT_RESERVED, stock_id=line.stock_id)
        self.record(OrderShipped(tracking_code=command.tracking_code))

    @handles(CancelOrder)
    def cancel(self, command: CancelOrder) -> None:
        self._must_not_be_cancelled()
        if self.state.status == ORDER_STATUS_SHIPPED:
            raise Rejected(OrderReason.SHIPPED)
        self.record(OrderCancelled(reason=command.reason, reserved=self.state.reserved))

    def reserve_line(self, stock_id: str) -> None:
        """Note that the stock of a line is reserved."""
        self.record(LineReserved(stock_id=stock_id))

    @property
    def is_open(self) -> bool:
        """Tell whether stock may still be reserved for the order."""
        return self.state.status in (ORDER_STATUS_PLACED, ORDER_STATUS_PAID)

    def _must_not_be_cancelled(self) -> None:
        if self.state.status == ORDER_STATUS_CANCELLED:
            raise Rejected(OrderReason.CANCELLED)

    def _must_be_placed(self) -> None:
        self._must_not_be_cancelled()
        if self.state.status != ORDER_STATUS_PLACED:
            raise Rejected(OrderReason.NOT_PLACED, status=OrderStatus.Name(self.state.status))

    @applies(OrderPlaced)
    def placed(self, event: OrderPlaced) -> None:
        self.state.order_id = self.id
        self.state.status = ORDER_STATUS_PLACED
        self.state.customer_email = event.customer_email
        self.state.lines.extend(event.lines)
        self.state.total_cents = sum(line.quantity * line.unit_price_cents for line in event.lines)
        self.state.risk_score = len(event.lines)

    @applies(LineAdded)
    def line_added(self, event: LineAdded) -> None:
        self.state.lines.append(event.line)
        self.state.total_cents += event.line.quantity * event.line.unit_price_cents

    @applies(LineReserved)
    def line_reserved(self, event: LineReserved) -> None:
        self.state.reserved.append(event.stock_id)

    @applies(OrderPaid)
    def paid(self, event: OrderPaid) -> None:
        self.state.status = ORDER_STATUS_PAID

    @applies(OrderShipped)
    def shipped(self, event: OrderShipped) -> None:
        self.state.status = ORDER_STATUS_SHIPPED
        self.state.tracking_code = event.tracking_code

    @applies(OrderCancelled)
    def cancelled(self, event: OrderCancelled) -> None:
        self.state.status = ORDER_STATUS_CANCELLED
        self.state.cancel_reason = event.reason
