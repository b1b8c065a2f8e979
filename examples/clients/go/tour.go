package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/anypb"

	"shop.example/go/gen/comby/facade/v1"
	"shop.example/go/gen/shop/order/v1"
	"shop.example/go/gen/shop/stock/v1"
)

// tour shows, on one order of its own, every kind of answer that a caller meets.
func tour(ctx context.Context, on *shop, customer string) error {
	stock, err := call(ctx, on.stock.AddStock, &stockv1.AddStock{Sku: customer, Quantity: 10}, options{requestID: uuid.NewString()})
	if err != nil {
		return fmt.Errorf("add stock: %w", err)
	}
	print(acknowledged("add_stock", stock))
	shipped, err := sellOne(ctx, on, customer, stock.GetAggregateId())
	if err != nil {
		return err
	}
	steps := []func(context.Context, *shop, string, *facadev1.CommandReceipt) error{waits, queries, refusals, resumes}
	for _, step := range steps {
		if err := step(ctx, on, customer, shipped); err != nil {
			return err
		}
	}
	return nil
}

// waits waits for a command that is long finished, and sends it again: both answer what happened then.
func waits(ctx context.Context, shop *shop, customer string, _ *facadev1.CommandReceipt) error {
	add := &stockv1.AddStock{Sku: customer + " again", Quantity: 1}
	requestID := uuid.NewString()
	first, err := call(ctx, shop.stock.AddStock, add, options{requestID: requestID, wait: "accepted"})
	if err != nil {
		return err
	}
	print(acknowledged("accept", first))
	finished, err := waitFor(ctx, shop, requestID, "PROJECTED")
	if err != nil {
		return err
	}
	print(acknowledged("wait_for_command", finished))
	again, err := call(ctx, shop.stock.AddStock, add, options{requestID: requestID})
	if err != nil {
		return err
	}
	print(acknowledged("send_again", again))
	return nil
}

// queries reads what was just written: the token makes the answers cover the last command.
func queries(ctx context.Context, shop *shop, customer string, last *facadev1.CommandReceipt) error {
	covering := options{consistency: last.GetConsistencyToken()}
	order, err := call(ctx, shop.orders.GetOrder, &orderv1.GetOrder{OrderId: last.GetAggregateId()}, covering)
	if err != nil {
		return fmt.Errorf("get order: %w", err)
	}
	print(map[string]any{"did": "get_order", "order": asJSON(order)})
	page, err := call(ctx, shop.orders.ListOrders, &orderv1.ListOrders{CustomerEmail: customer}, covering)
	if err != nil {
		return fmt.Errorf("list orders: %w", err)
	}
	print(map[string]any{"did": "list_orders", "page": asJSON(page)})

	query, err := anypb.New(&orderv1.GetOrder{OrderId: last.GetAggregateId()})
	if err != nil {
		return err
	}
	request := &facadev1.DispatchQueryRequest{Query: query, ConsistencyToken: last.GetConsistencyToken()}
	answer, err := call(ctx, shop.facade.DispatchQuery, request, options{})
	if err != nil {
		return fmt.Errorf("dispatch query: %w", err)
	}
	print(map[string]any{"did": "dispatch_query", "response": asJSON(answer.GetResponse())})
	return nil
}

// refusals shows errors and their details.
func refusals(ctx context.Context, shop *shop, customer string, last *facadev1.CommandReceipt) error {
	orderID := last.GetAggregateId()
	refused := func(what string, err error) {
		print(map[string]any{"did": "refused", "what": what, "error": decodeError(err)})
	}
	_, err := call(ctx, shop.orders.PayOrder, &orderv1.PayOrder{OrderId: orderID, AmountCents: 1}, options{})
	refused("rule", err)
	_, err = call(ctx, shop.orders.PlaceOrder, &orderv1.PlaceOrder{CustomerEmail: "nobody"}, options{})
	refused("fields", err)
	_, err = call(ctx, shop.orders.GetOrder, &orderv1.GetOrder{OrderId: uuid.NewString()}, options{})
	refused("missing", err)
	ship := &orderv1.ShipOrder{OrderId: orderID, TrackingCode: "again"}
	_, err = call(ctx, shop.orders.ShipOrder, ship, options{expectedVersion: "1"})
	refused("version", err)
	_, err = call(ctx, shop.orders.ShipOrder, ship, options{requestID: last.GetRequestId()})
	refused("request_id", err)
	_, err = call(ctx, shop.orders.ShipOrder, ship, options{wait: "forever"})
	refused("metadata", err)
	return nil
}

// resumes handles the events of one order, breaks the stream after each, and goes on after the last one handled.
func resumes(ctx context.Context, shop *shop, _ string, last *facadev1.CommandReceipt) error {
	one := &subscription{
		facade: shop.facade,
		filter: &facadev1.EventFilter{Domains: []string{"Order"}, AggregateId: last.GetAggregateId()},
	}
	one.handle = func(event *facadev1.Event) error {
		print(recorded("handle", event))
		if event.GetVersion() == last.GetAggregateVersion() {
			return errDone
		}
		return errBroken
	}
	if err := one.run(ctx); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}

	// A position is worth nothing in another log: the server refuses it, and never leaves out events in silence.
	one.log = &facadev1.LogIdentity{LogId: uuid.NewString(), Incarnation: uuid.NewString()}
	print(map[string]any{"did": "refused", "what": "log", "error": decodeError(one.run(ctx))})
	return nil
}
