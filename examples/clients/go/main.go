// Command shop-client is a Go client of comby: the shop example over plain gRPC, without a line of glue.
//
//	shop-client sell     --target HOST:PORT --orders 10     places, pays and ships orders
//	shop-client tour     --target HOST:PORT                 waits, queries, errors, and a stream that is resumed
//	shop-client follow   --target HOST:PORT --journal FILE  handles every event once, however often it is ended
//	shop-client overload --target HOST:PORT --streams 2     opens streams until the server refuses one
//
// It prints one JSON object a line.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"shop.example/go/gen/comby/facade/v1"
	"shop.example/go/gen/shop/order/v1"
	"shop.example/go/gen/shop/stock/v1"
)

// exitLogReplaced tells a script apart from other failures that the journal is of another log.
const exitLogReplaced = 3

// shop is a connection and the services on it.
type shop struct {
	facade facadev1.FacadeServiceClient
	orders orderv1.OrderServiceClient
	stock  stockv1.StockServiceClient
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		print(map[string]any{"did": "fail", "error": decodeError(err)})
		if reasonOf(err) == "LOG_REPLACED" {
			os.Exit(exitLogReplaced)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("name what to do: sell, tour, follow or overload")
	}
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	target := flags.String("target", "127.0.0.1:50051", "the server")
	orders := flags.Int("orders", 3, "sell: how many orders")
	customer := flags.String("customer", "go@shop.example", "sell and tour: who orders")
	var journals many
	flags.Var(&journals, "journal", "follow: the file of one subscriber; may be given several times")
	var types many
	flags.Var(&types, "type", "follow: an event type, such as Order.OrderPaid; may be given several times; all when absent")
	breakEvery := flags.Int("break-every", 0, "follow: break the stream after at most so many events; never when 0")
	streams := flags.Int("streams", 2, "overload: how many streams to open")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}

	connection, err := connect(*target)
	if err != nil {
		return err
	}
	defer connection.Close()
	shop := &shop{
		facade: facadev1.NewFacadeServiceClient(connection),
		orders: orderv1.NewOrderServiceClient(connection),
		stock:  stockv1.NewStockServiceClient(connection),
	}
	switch args[0] {
	case "sell":
		return sell(ctx, shop, *customer, *orders)
	case "tour":
		return tour(ctx, shop, *customer)
	case "follow":
		return follow(ctx, shop, journals, types, *breakEvery)
	case "overload":
		return overload(ctx, shop, *streams)
	}
	return fmt.Errorf("%s is not known: sell, tour, follow or overload", args[0])
}

func connect(target string) (*grpc.ClientConn, error) {
	return grpc.NewClient(
		target,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 2, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 2 * time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
	)
}

// many is a flag that may be given several times.
type many []string

func (m *many) String() string { return fmt.Sprint(*m) }

func (m *many) Set(value string) error {
	*m = append(*m, value)
	return nil
}
