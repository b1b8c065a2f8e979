package main

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// consumer is a durable pull consumer of the app's stream, which the broker remembers by its name.
type consumer struct {
	jetstream jetstream.JetStream
	app       string
	journal   *journal
	config    jetstream.ConsumerConfig
}

// run handles events until the context ends. Whatever breaks is made again: the journal knows what was handled.
func (c *consumer) run(ctx context.Context) error {
	backoff := firstBackoff
	for {
		handled, err := c.follow(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if handled > 0 {
			backoff = firstBackoff
		}
		print(map[string]any{"did": "lose_stream", "position": c.journal.position, "error": err.Error()})
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(backoff):
			backoff = min(2*backoff, longestBackoff)
		}
	}
}

// follow makes the consumer where there is none, and handles what it delivers, until something breaks.
func (c *consumer) follow(ctx context.Context) (int, error) {
	asked, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	made, err := c.jetstream.CreateOrUpdateConsumer(asked, c.app+"-events", c.config)
	if err != nil {
		return 0, err
	}
	messages, err := made.Messages(jetstream.PullMaxMessages(1), jetstream.PullExpiry(2*time.Second))
	if err != nil {
		return 0, err
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	print(map[string]any{"did": "follow", "after": c.journal.position})
	for handled := 0; ; handled++ {
		message, err := messages.Next()
		if err != nil {
			return handled, err
		}
		if err := c.take(message); err != nil {
			return handled, err
		}
	}
}

// take handles a message unless it was handled before, and acknowledges it only then.
func (c *consumer) take(message jetstream.Msg) error {
	one, err := read(c.app, message)
	if err != nil {
		told := map[string]any{"did": "ignore", "subject": message.Subject(), "why": err.Error()}
		if metadata, err := message.Metadata(); err == nil {
			told["sequence"] = metadata.Sequence.Stream
		}
		print(told)
		return message.Term() // it will not become better
	}
	if c.journal.has(one) {
		print(map[string]any{"did": "skip", "position": one.event.GetPosition(), "event_id": one.event.GetEventId()})
		return message.Ack()
	}
	if err := c.journal.handle(one); err != nil {
		return err
	}
	print(one.told())
	return message.Ack()
}
