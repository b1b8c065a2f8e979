package main

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"shop.example/go/gen/comby/facade/v1"
)

// callTimeout is how long one attempt of a call may take.
const callTimeout = 15 * time.Second

// patience is how long a call is tried again, which is longer than a server takes to start anew.
const patience = 60 * time.Second

// options are what typed RPCs take as metadata; empty ones are not sent.
type options struct {
	requestID       string
	wait            string
	expectedVersion string
	consistency     string
}

func (o options) on(ctx context.Context) context.Context {
	for key, value := range map[string]string{
		"comby-request-id":        o.requestID,
		"comby-wait":              o.wait,
		"comby-expected-version":  o.expectedVersion,
		"comby-consistency-token": o.consistency,
	} {
		if value != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, key, value)
		}
	}
	return ctx
}

// rpc is a unary method of a generated client.
type rpc[Request, Response any] func(context.Context, Request, ...grpc.CallOption) (Response, error)

// call calls once.
func call[Request, Response any](ctx context.Context, method rpc[Request, Response], request Request, with options) (Response, error) {
	ctx, cancel := context.WithTimeout(with.on(ctx), callTimeout)
	defer cancel()
	return method(ctx, request)
}

// insist calls until the server answers: a query, or a command with a request id, may be sent again, and takes effect once.
func insist[Request, Response any](ctx context.Context, method rpc[Request, Response], request Request, with options) (Response, error) {
	return until(ctx, func() (Response, error) { return call(ctx, method, request, with) }, mayRetry)
}

// until repeats an attempt while `again` says so, doubling the pause.
func until[Response any](ctx context.Context, attempt func() (Response, error), again func(error) bool) (Response, error) {
	deadline := time.Now().Add(patience)
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		response, err := attempt()
		if err == nil || !again(err) || time.Now().After(deadline) {
			return response, err
		}
		select {
		case <-ctx.Done():
			return response, ctx.Err()
		case <-time.After(max(pause, decodeError(err).RetryAfter)):
		}
	}
}

func mayRetry(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded:
		return true
	case codes.ResourceExhausted: // without a delay it is a message too large, which stays too large
		return decodeError(err).RetryAfter > 0
	}
	return false
}

// stage returns the enum of a stage's short name.
func stage(name string) facadev1.CommandStage {
	return facadev1.CommandStage(facadev1.CommandStage_value["COMMAND_STAGE_"+name])
}
