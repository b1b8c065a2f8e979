package main

import (
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"

	"shop.example/go/gen/comby/facade/v1"
)

// decodedError is an error of comby, or of the connection. Decide by Reason; nobody parses Message.
type decodedError struct {
	Code       string            `json:"code"`
	Message    string            `json:"message"`
	Reason     string            `json:"reason,omitempty"`
	Domain     string            `json:"domain,omitempty"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	Violations []violation       `json:"violations,omitempty"`
	RetryAfter time.Duration     `json:"-"`
	RetryMs    int64             `json:"retryAfterMs,omitempty"`
	Stage      string            `json:"stage,omitempty"` // of the receipt of a command that was refused
}

type violation struct {
	Field       string `json:"field"`
	Reason      string `json:"reason"`
	Description string `json:"description"`
}

// decodeError reads the status and its details.
func decodeError(err error) decodedError {
	told := status.Convert(err)
	var inner interface{ GRPCStatus() *status.Status }
	if errors.As(err, &inner) { // without the words that were put around it
		told = inner.GRPCStatus()
	}
	decoded := decodedError{Code: code.Code(told.Code()).String(), Message: told.Message()}
	for _, detail := range told.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			decoded.Reason, decoded.Domain, decoded.Metadata = detail.GetReason(), detail.GetDomain(), detail.GetMetadata()
		case *errdetails.BadRequest:
			for _, one := range detail.GetFieldViolations() {
				decoded.Violations = append(decoded.Violations, violation{one.GetField(), one.GetReason(), one.GetDescription()})
			}
		case *errdetails.RetryInfo:
			decoded.RetryAfter = detail.GetRetryDelay().AsDuration()
			decoded.RetryMs = decoded.RetryAfter.Milliseconds()
		case *facadev1.CommandReceipt:
			decoded.Stage = detail.GetStage().String()
		}
	}
	return decoded
}

// reasonOf returns the machine-readable reason of an error; empty where the error is not comby's.
func reasonOf(err error) string {
	return decodeError(err).Reason
}

// statusError returns the error inside a receipt as what the unary call would have raised.
func statusError(inside *spb.Status) error {
	return status.FromProto(inside).Err()
}
