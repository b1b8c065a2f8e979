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

const priceCents = 1250

// sell adds stock, and places, pays and ships orders. It survives a restart of the server: every command has a request id.
func sell(ctx context.Context, shop *shop, customer string, orders int) error {
	stock, err := insist(ctx, shop.stock.AddStock, &stockv1.AddStock{Sku: customer, Quantity: uint32(2 * orders)}, options{requestID: uuid.NewString()})
	if err != nil {
		return fmt.Errorf("add stock: %w", err)
	}
	print(acknowledged("add_stock", stock))
	for range orders {
		if _, err := sellOne(ctx, shop, customer, stock.GetAggregateId()); err != nil {
			return err
		}
	}
	return nil
}

// sellOne places an order with the generic RPC, pays it and ships it, and returns the last receipt.
func sellOne(ctx context.Context, shop *shop, customer, stockID string) (*facadev1.CommandReceipt, error) {
	line := &orderv1.OrderLine{StockId: stockID, Quantity: 2, UnitPriceCents: priceCents}
	placed, err := place(ctx, shop, &orderv1.PlaceOrder{CustomerEmail: customer, Lines: []*orderv1.OrderLine{line}})
	if err != nil {
		return nil, fmt.Errorf("place: %w", err)
	}
	print(acknowledged("place_order", placed))
	orderID := placed.GetAggregateId()

	pay := &orderv1.PayOrder{OrderId: orderID, AmountCents: 2 * priceCents}
	paid, err := insist(ctx, shop.orders.PayOrder, pay, options{requestID: uuid.NewString()})
	if err != nil {
		return nil, fmt.Errorf("pay: %w", err)
	}
	print(acknowledged("pay_order", paid))

	// The stock is reserved by a process of its own, a moment later. A refused command stays refused under its request id.
	ship := &orderv1.ShipOrder{OrderId: orderID, TrackingCode: "GO-" + orderID[:8]}
	shipped, err := until(ctx, func() (*facadev1.CommandReceipt, error) {
		return insist(ctx, shop.orders.ShipOrder, ship, options{requestID: uuid.NewString(), wait: "projected"})
	}, func(err error) bool { return reasonOf(err) == "NOT_RESERVED" })
	if err != nil {
		return nil, fmt.Errorf("ship: %w", err)
	}
	print(acknowledged("ship_order", shipped))
	return shipped, nil
}

// place has a command accepted, and then waits until it is executed.
func place(ctx context.Context, shop *shop, order *orderv1.PlaceOrder) (*facadev1.CommandReceipt, error) {
	command, err := anypb.New(order)
	if err != nil {
		return nil, err
	}
	request := &facadev1.DispatchCommandRequest{Command: command, Options: &facadev1.CommandOptions{RequestId: uuid.NewString()}}
	accepted, err := insist(ctx, shop.facade.DispatchCommand, request, options{})
	if err != nil {
		return nil, err
	}
	print(acknowledged("dispatch_command", accepted))
	return waitFor(ctx, shop, accepted.GetRequestId(), "EXECUTED")
}

// waitFor waits for a stage, over as many calls as it takes: the end of one wait is no error.
func waitFor(ctx context.Context, shop *shop, requestID, name string) (*facadev1.CommandReceipt, error) {
	for {
		request := &facadev1.WaitForCommandRequest{RequestId: requestID, Stage: stage(name)}
		receipt, err := insist(ctx, shop.facade.WaitForCommand, request, options{})
		if err != nil {
			return nil, err
		}
		if receipt.GetError() != nil {
			return nil, fmt.Errorf("%s is %s: %w", requestID, receipt.GetStage(), statusError(receipt.GetError()))
		}
		if receipt.GetStage() >= stage(name) {
			return receipt, nil
		}
	}
}
