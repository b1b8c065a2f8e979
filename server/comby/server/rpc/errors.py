"""The errors that only the edge raises, and how a call ends with one."""

from google.rpc import status_pb2

from comby.server.application.errors import FacadeError
from comby.server.application.requests import Receipt

KEY_SHOWN = 64
METHOD_SHOWN = 256


class InvalidMetadata(FacadeError):
    """A comby-* metadata key is unknown, doubled, malformed, or means nothing to this method. No value is ever shown."""

    reason = "INVALID_METADATA"

    def __init__(self, key: str) -> None:
        super().__init__(key=key[:KEY_SHOWN])


class UnknownMethod(FacadeError):
    """No such RPC is served."""

    reason = "UNKNOWN_METHOD"

    def __init__(self, method: str) -> None:
        super().__init__(method=method[:METHOD_SHOWN])


class DeadlineExceeded(FacadeError):
    """The call ran out of its deadline."""

    reason = "DEADLINE_EXCEEDED"


class UnknownService(FacadeError):
    """The health of a service was asked for that is not served; the domain is that of the health protocol."""

    reason = "SERVICE_UNKNOWN"
    domain = "grpc.health.v1"

    def __init__(self, service: str) -> None:
        super().__init__(service=service[:METHOD_SHOWN])


class CommandRefused(Exception):
    """A call waited for a command, and its receipt holds an error: the call ends with that error."""

    def __init__(self, receipt: Receipt, error: FacadeError) -> None:
        super().__init__(error.reason)
        self.receipt = receipt
        self.error = error


class CallFailed(Exception):
    """How a call ends that did not succeed: what the transport has to tell the caller."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status
