"""What becomes of a command or a call: a receipt, or an error, either of which may hold the other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import grpc

from comby.client import _stage
from comby.client._stage import Stage, Wait


class Waiting(Protocol):
    """How a receipt asks how far its command has come by now."""

    async def __call__(self, request_id: str, stage: Wait, timeout: float | None) -> "Receipt": ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """How far a command has come, as the server knew when it answered."""

    request_id: str
    stage: Stage
    aggregate_id: str
    aggregate_version: int
    """The aggregate's version after the command; 0 until executed."""
    consistency_token: str
    """Give it to a query as `consistency=`, and the answer covers the command; empty until executed."""
    event_ids: tuple[str, ...]
    error: "CombyError | None" = field(compare=False)
    """Why the command was rejected, parked or cancelled."""
    waiting: Waiting | None = field(default=None, repr=False, compare=False)
    """How `wait` asks; None for a receipt inside an error."""

    async def wait(self, stage: Wait = Stage.EXECUTED, *, timeout: float | None = None) -> "Receipt":
        """Wait until the command reaches the stage or a final one, and return the receipt of then.

        After `timeout` seconds the receipt tells the stage reached: that is no error, and cancels nothing. A
        rejection is in the receipt's `error`; `raise_for_error` raises it.
        """
        if _stage.covers(self.stage, stage):
            return self
        if self.waiting is None:
            raise RuntimeError("this receipt came inside an error; ask with Comby.wait")
        return await self.waiting(self.request_id, stage, timeout)

    def raise_for_error(self) -> "Receipt":
        """Raise `error` if there is one; else return the receipt."""
        if self.error is not None:
            raise self.error
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A field that breaks a rule of the message."""

    field: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorDetails:
    """What a server said of an error."""

    code: grpc.StatusCode
    message: str
    reason: str = ""
    domain: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    violations: tuple[Violation, ...] = ()
    request_id: str = ""
    receipt: "Receipt | None" = None
    retry_delay: float | None = None


class CombyError(Exception):
    """A call did not do what was asked.

    Read `reason` (of `domain`) to decide; never the text. `comby.facade.v1.ErrorReason` lists every reason of the
    facade itself with its cause, what to do, and the keys of `metadata`.
    """

    def __init__(self, details: ErrorDetails) -> None:
        super().__init__(details)
        self._details = details

    def __str__(self) -> str:
        d = self._details
        more = [f"{key}={value}" for key, value in sorted(d.metadata.items())]
        more += [f"{violation.field}: {violation.description}" for violation in d.violations]
        return f"{d.reason or d.code.name}: {d.message}" + (f" ({', '.join(more)})" if more else "")

    @property
    def code(self) -> grpc.StatusCode:
        return self._details.code

    @property
    def reason(self) -> str:
        """The reason, such as VERSION_CONFLICT; empty where something between client and server failed."""
        return self._details.reason

    @property
    def domain(self) -> str:
        """Whose reason it is: a domain's name, or comby.facade.v1."""
        return self._details.domain

    @property
    def message(self) -> str:
        """A text for people."""
        return self._details.message

    @property
    def metadata(self) -> Mapping[str, str]:
        return self._details.metadata

    @property
    def violations(self) -> tuple[Violation, ...]:
        return self._details.violations

    @property
    def incident(self) -> str:
        """The id by which the cause is found in the server's log; empty for an expected error."""
        return self._details.metadata.get("incident", "")

    @property
    def request_id(self) -> str:
        return self._details.request_id

    @property
    def receipt(self) -> "Receipt | None":
        """The receipt of a command that was stored and then refused; None for every other error."""
        return self._details.receipt

    @property
    def retry_delay(self) -> float | None:
        """Seconds after which a retry makes sense; None where the server does not ask for one."""
        return self._details.retry_delay
