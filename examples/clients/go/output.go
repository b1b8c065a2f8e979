package main

import (
	"encoding/json"
	"os"
	"sync"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"shop.example/go/gen/comby/facade/v1"
)

var output sync.Mutex

// print writes one JSON object as a line.
func print(line map[string]any) {
	output.Lock()
	defer output.Unlock()
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		panic(err) // only an unknown type in the map can not be encoded
	}
}

// acknowledged returns a line that tells what a receipt says.
func acknowledged(did string, receipt *facadev1.CommandReceipt) map[string]any {
	return map[string]any{
		"did":          did,
		"request_id":   receipt.GetRequestId(),
		"aggregate_id": receipt.GetAggregateId(),
		"version":      receipt.GetAggregateVersion(),
		"stage":        receipt.GetStage().String(),
		"event_ids":    receipt.GetEventIds(),
		"token":        receipt.GetConsistencyToken(),
	}
}

// recorded returns a line that tells an event, its message included.
func recorded(did string, event *facadev1.Event) map[string]any {
	message, err := event.GetPlain().UnmarshalNew()
	if err != nil {
		message = nil // a type of a newer contract: its envelope is readable all the same
	}
	return map[string]any{
		"did":          did,
		"position":     event.GetPosition(),
		"event_id":     event.GetEventId(),
		"type":         event.GetType(),
		"aggregate_id": event.GetAggregateId(),
		"version":      event.GetVersion(),
		"event":        asJSON(message),
	}
}

func asJSON(message proto.Message) json.RawMessage {
	if message == nil {
		return json.RawMessage("null")
	}
	encoded, err := protojson.Marshal(message)
	if err != nil {
		return json.RawMessage("null")
	}
	return encoded
}
