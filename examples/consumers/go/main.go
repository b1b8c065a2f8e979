// Command shop-consumer handles the shop's events from NATS, each once, however often it is ended.
//
//	shop-consumer --broker nats://127.0.0.1:4222 --durable invoices --journal FILE
//
// It knows comby's protos and the shop's, and nothing else of comby. It prints one JSON object a line.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	firstBackoff   = 100 * time.Millisecond
	longestBackoff = 2 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		print(map[string]any{"did": "fail", "error": err.Error()})
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	broker := flag.String("broker", nats.DefaultURL, "URL of NATS")
	app := flag.String("app", "shop", "the app, as it is in the subjects")
	durable := flag.String("durable", "shop-consumer", "the consumer's name; several processes with one name share the work")
	path := flag.String("journal", "journal", "the file of what was handled")
	subject := flag.String("subject", "", "which events, such as shop.events.*.Order.>; all when empty")
	ackWait := flag.Duration("ack-wait", 5*time.Second, "after how long an event is delivered again that nobody acknowledged")
	flag.Parse()

	journal, err := openJournal(*path)
	if err != nil {
		return err
	}
	defer journal.file.Close()
	connection, err := nats.Connect(
		*broker,
		nats.Name(*durable),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(firstBackoff),
		nats.PingInterval(2*time.Second),
	)
	if err != nil {
		return err
	}
	defer connection.Close()
	stream, err := jetstream.New(connection)
	if err != nil {
		return err
	}
	one := &consumer{
		jetstream: stream,
		app:       *app,
		journal:   journal,
		config: jetstream.ConsumerConfig{
			Durable:       *durable,
			FilterSubject: *subject,
			AckPolicy:     jetstream.AckExplicitPolicy,
			AckWait:       *ackWait,
			MaxAckPending: 1, // the next event comes once this one is done: that is what keeps the order
		},
	}
	return one.run(ctx)
}

// print writes one JSON object as a line.
func print(line map[string]any) {
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		panic(err) // only an unknown type in the map can not be encoded
	}
}
