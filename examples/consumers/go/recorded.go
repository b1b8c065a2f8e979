package main

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"shop.example/consumer/gen/comby/facade/v1"
	_ "shop.example/consumer/gen/shop/order/v1" // the domains whose events are decoded
	_ "shop.example/consumer/gen/shop/stock/v1"
)

// recorded is an event, and which life of the log its position belongs to.
type recorded struct {
	event       *facadev1.Event
	incarnation string
}

// read returns the event of a message. What does not fit together is none of comby's.
func read(app string, message jetstream.Msg) (*recorded, error) {
	headers := message.Headers()
	event := &facadev1.Event{}
	if err := proto.Unmarshal(message.Data(), event); err != nil {
		return nil, errors.New("the payload is no event")
	}
	incarnation := headers.Get("Comby-Incarnation")
	tokens := strings.Split(message.Subject(), ".")
	switch {
	case incarnation == "" || event.GetPosition() == 0:
		return nil, errors.New("it does not tell its place in the log")
	case headers.Get("Comby-Position") != strconv.FormatUint(event.GetPosition(), 10):
		return nil, errors.New("the position is another one")
	case headers.Get("Nats-Msg-Id") != event.GetEventId():
		return nil, errors.New("the id is another one")
	case len(tokens) != 5 || tokens[0] != app || tokens[2] != event.GetContext().GetTenantId() ||
		tokens[3]+"."+tokens[4] != event.GetType():
		return nil, errors.New("the subject is of another event")
	}
	return &recorded{event: event, incarnation: incarnation}, nil
}

// told returns a line that tells the event, its message included.
func (r *recorded) told() map[string]any {
	line := map[string]any{
		"did":          "handle",
		"position":     r.event.GetPosition(),
		"event_id":     r.event.GetEventId(),
		"type":         r.event.GetType(),
		"tenant_id":    r.event.GetContext().GetTenantId(),
		"aggregate_id": r.event.GetAggregateId(),
		"version":      r.event.GetVersion(),
		"event":        nil, // of a contract that this program does not know: its envelope is readable all the same
	}
	if message, err := r.event.GetPlain().UnmarshalNew(); err == nil {
		if encoded, err := protojson.Marshal(message); err == nil {
			line["event"] = json.RawMessage(encoded)
		}
	}
	return line
}
