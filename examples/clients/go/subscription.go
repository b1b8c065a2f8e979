package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"shop.example/go/gen/comby/facade/v1"
)

const heartbeat = time.Second

// silentHeartbeats is after how many silent heartbeats a stream is dead, even where the connection does not say so.
const silentHeartbeats = 5

// errBroken, returned by a handler, breaks the stream; it goes on after the last handled event.
var errBroken = errors.New("the stream is broken on purpose")

// errDone, returned by a handler, ends the subscription.
var errDone = errors.New("done")

// subscription is a stream of events that goes on by itself after the last handled position.
type subscription struct {
	facade   facadev1.FacadeServiceClient
	filter   *facadev1.EventFilter
	position uint64                // the last handled position
	log      *facadev1.LogIdentity // the log of that position; nil before the first answer

	// began is told the log before its first event is handled; optional.
	began func(*facadev1.LogIdentity) error
	// handle handles one event. The position moves once it has returned nil.
	handle func(*facadev1.Event) error
	// moved is told a position that moved over events which the filter left out; optional.
	moved func(uint64) error
}

// run follows the log until a handler returns an error, or the server refuses for good, as with LOG_REPLACED.
func (s *subscription) run(ctx context.Context) error {
	failures := 0
	for {
		err := s.stream(ctx, &failures)
		switch {
		case errors.Is(err, errDone):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errBroken):
			print(map[string]any{"did": "break_stream", "position": s.position})
		case !mayHeal(err):
			return err
		default:
			print(map[string]any{"did": "lose_stream", "position": s.position, "error": decodeError(err)})
			failures++
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(min(2*time.Second, 50*time.Millisecond<<min(failures, 6))):
			}
		}
	}
}

// stream opens one stream and reads it until it ends.
func (s *subscription) stream(ctx context.Context, failures *int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.facade.SubscribeEvents(ctx, &facadev1.SubscribeEventsRequest{
		Start:     &facadev1.SubscribeEventsRequest_After{After: s.position},
		Filter:    s.filter,
		Heartbeat: durationpb.New(heartbeat),
		Log:       s.log,
	})
	if err != nil {
		return err
	}
	watchdog := time.AfterFunc(silentHeartbeats*heartbeat, cancel)
	defer watchdog.Stop()
	for {
		response, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("subscribe after %d: %w", s.position, err)
		}
		watchdog.Stop() // handling may take its time
		*failures = 0
		if err := s.take(response); err != nil {
			return err
		}
		watchdog.Reset(silentHeartbeats * heartbeat)
	}
}

func (s *subscription) take(response *facadev1.SubscribeEventsResponse) error {
	switch message := response.GetMessage().(type) {
	case *facadev1.SubscribeEventsResponse_Confirmed_:
		if s.log == nil && s.began != nil {
			if err := s.began(message.Confirmed.GetLog()); err != nil {
				return err
			}
		}
		s.log = message.Confirmed.GetLog()
	case *facadev1.SubscribeEventsResponse_Events_:
		for _, event := range message.Events.GetEvents() {
			if err := s.handle(event); err != nil {
				if errors.Is(err, errBroken) || errors.Is(err, errDone) {
					s.position = event.GetPosition()
				}
				return err
			}
			s.position = event.GetPosition()
		}
	case *facadev1.SubscribeEventsResponse_CaughtUp_:
		return s.move(message.CaughtUp.GetPosition())
	case *facadev1.SubscribeEventsResponse_Checkpoint_:
		return s.move(message.Checkpoint.GetPosition())
	case *facadev1.SubscribeEventsResponse_Goodbye_:
		if err := s.move(message.Goodbye.GetResumeAfter()); err != nil {
			return err
		}
		return status.Error(codes.Unavailable, message.Goodbye.GetReason())
	}
	return nil
}

func (s *subscription) move(position uint64) error {
	if position <= s.position {
		return nil
	}
	s.position = position
	if s.moved == nil {
		return nil
	}
	return s.moved(position)
}

// mayHeal tells whether opening the stream anew may help: a broken connection has many faces, a refusal has one of these.
func mayHeal(err error) bool {
	switch status.Code(err) {
	case codes.InvalidArgument, codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented, codes.NotFound,
		codes.AlreadyExists, codes.FailedPrecondition, codes.OutOfRange, codes.DataLoss:
		return false
	}
	var told interface{ GRPCStatus() *status.Status }
	return errors.As(err, &told) // an error of the handler itself is no matter of the connection
}
