package main

import (
	"context"

	"shop.example/go/gen/comby/facade/v1"
)

// overload opens streams and keeps them open, and shows how the server refuses one too many.
func overload(ctx context.Context, shop *shop, streams int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for number := range streams {
		start := &facadev1.SubscribeEventsRequest_FromHead{FromHead: true}
		stream, err := shop.facade.SubscribeEvents(ctx, &facadev1.SubscribeEventsRequest{Start: start})
		if err == nil {
			_, err = stream.Recv()
		}
		if err != nil {
			print(map[string]any{"did": "refused", "what": "stream", "number": number + 1, "error": decodeError(err)})
			return nil
		}
		print(map[string]any{"did": "open_stream", "number": number + 1})
	}
	return nil
}
