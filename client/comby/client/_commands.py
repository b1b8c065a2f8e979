"""Calls about commands: dispatch, wait, and what is stored of them."""

import time
from collections.abc import Iterable
from datetime import datetime

from google.protobuf.message import Message

from comby.client import _stage, _status, _wire
from comby.client._connection import FACADE, Connection
from comby.client._generic import dispatch_options, dispatch_request
from comby.client._outcome import Receipt, Waiting
from comby.client._pipeline import Pipeline
from comby.client._records import CommandRecord, Page
from comby.client._stage import Stage, Wait
from comby.facade.v1 import command_pb2

LONGEST_WAIT = 10.0  # seconds asked for at a time; the server's longest wait
MARGIN = 5.0  # seconds of a call's time-out beyond its wait


class CommandCalls:
    """The part of `Comby` that is about commands."""

    _connection: Connection

    async def call_command(
        self,
        path: str,
        message: Message,
        *,
        wait: Wait,
        wait_timeout: float | None,
        request_id: str | None,
        expected_version: int | None,
        not_before: datetime | None,
        tenant_id: str | None,
        timeout: float | None,
    ) -> Receipt:
        """Call a typed RPC of a command; for generated clients, which type what it takes."""
        options = dispatch_options(wait, wait_timeout, request_id, expected_version, not_before)
        answer = await self._connection.unary(
            path,
            message,
            command_pb2.CommandReceipt,
            metadata=(*options.metadata(), *self._connection.ambient.causes()),
            tenant_id=tenant_id,
            timeout=self._time(timeout, wait_timeout),
            command=True,
        )
        return _status.receipt_from_wire(answer, self._waiting(tenant_id))

    async def dispatch(
        self,
        message: Message,
        *,
        wait: Wait = Stage.ACCEPTED,
        wait_timeout: float | None = None,
        request_id: str | None = None,
        expected_version: int | None = None,
        not_before: datetime | None = None,
        tenant_id: str | None = None,
        timeout: float | None = None,
    ) -> Receipt:
        """Dispatch any command and return once it is stored durably, or has come as far as `wait` says.

        Args:
            message: the command.
            wait: how far to wait; a rejection is raised when waiting beyond accepted.
            wait_timeout: seconds after which the receipt tells the stage reached; that is no error.
            request_id: the idempotency key, a UUID; made here when absent, so that retries are safe.
            expected_version: refuse with `VersionConflict` unless the aggregate is at this version; 0 is a new one.
            not_before: execute no earlier.
            tenant_id: the tenant, instead of the connection's.
            timeout: seconds after which the call ends with `DeadlineExceeded`; the command may be executed still.
        """
        options = dispatch_options(wait, wait_timeout, request_id, expected_version, not_before)
        answer = await self._connection.unary(
            f"{FACADE}DispatchCommand",
            dispatch_request(message, options, self._connection.ambient),
            command_pb2.CommandReceipt,
            tenant_id=tenant_id,
            timeout=self._time(timeout, wait_timeout),
            command=True,
        )
        return _status.receipt_from_wire(answer, self._waiting(tenant_id))

    def pipeline(self, *, in_flight: int = 1000, tenant_id: str | None = None) -> Pipeline:
        """Return a pipeline for many commands: at most `in_flight` are unanswered at a time."""
        return Pipeline(self._connection, in_flight=in_flight, tenant_id=tenant_id, waiting=self._waiting(tenant_id))

    async def wait(
        self,
        request_id: str,
        stage: Wait = Stage.EXECUTED,
        *,
        timeout: float | None = None,
        tenant_id: str | None = None,
    ) -> Receipt:
        """Wait until a command reaches a stage or a final one.

        After `timeout` seconds (never, when None) the receipt tells the stage reached: that is no error, and cancels
        nothing. A rejection is in the receipt's `error`.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            part = LONGEST_WAIT if end is None else max(0.0, min(LONGEST_WAIT, end - time.monotonic()))
            request = command_pb2.WaitForCommandRequest(
                request_id=request_id, stage=_stage.to_wire(stage), timeout=_wire.duration(part)
            )
            answer = await self._connection.unary(
                f"{FACADE}WaitForCommand",
                request,
                command_pb2.CommandReceipt,
                tenant_id=tenant_id,
                timeout=part + MARGIN,
            )
            receipt = _status.receipt_from_wire(answer, self._waiting(tenant_id))
            if _stage.covers(receipt.stage, stage) or (end is not None and time.monotonic() >= end):
                return receipt

    async def get_command(self, request_id: str, *, tenant_id: str | None = None) -> CommandRecord:
        """Return the stored record of a command; raises `NotFound`."""
        request = command_pb2.GetCommandRequest(request_id=request_id)
        return await self._record("GetCommand", request, tenant_id)

    async def list_commands(
        self,
        *,
        stages: Iterable[Stage] = (),
        type: str = "",
        aggregate_id: str = "",
        page_size: int = 0,
        page_token: str = "",
        tenant_id: str | None = None,
    ) -> Page[CommandRecord]:
        """Return a page of the stored records, the last accepted first."""
        request = command_pb2.ListCommandsRequest(
            stages=[_stage.to_wire(stage) for stage in stages],
            type=type,
            aggregate_id=aggregate_id,
            page_size=page_size,
            page_token=page_token,
        )
        answer = await self._connection.unary(
            f"{FACADE}ListCommands", request, command_pb2.ListCommandsResponse, tenant_id=tenant_id
        )
        records = tuple(CommandRecord.from_wire(record, self._waiting(tenant_id)) for record in answer.commands)
        return Page(items=records, next_page_token=answer.next_page_token)

    async def retry_command(self, request_id: str, *, tenant_id: str | None = None) -> CommandRecord:
        """Queue a parked command again; raises `FailedPrecondition` when it is not parked."""
        request = command_pb2.RetryCommandRequest(request_id=request_id)
        return await self._record("RetryCommand", request, tenant_id, retry=False)

    async def cancel_command(self, request_id: str, *, tenant_id: str | None = None) -> CommandRecord:
        """Give up a command that is parked or not yet begun; raises `FailedPrecondition` otherwise."""
        request = command_pb2.CancelCommandRequest(request_id=request_id)
        return await self._record("CancelCommand", request, tenant_id, retry=False)

    async def _record(
        self, method: str, request: Message, tenant_id: str | None, *, retry: bool = True
    ) -> CommandRecord:
        answer = await self._connection.unary(
            f"{FACADE}{method}", request, command_pb2.CommandRecord, tenant_id=tenant_id, retry=retry
        )
        return CommandRecord.from_wire(answer, self._waiting(tenant_id))

    def _waiting(self, tenant_id: str | None) -> Waiting:
        """Return how a receipt waits further: in the tenant of its command."""

        async def waiting(request_id: str, stage: Wait, timeout: float | None) -> Receipt:
            return await self.wait(request_id, stage, timeout=timeout, tenant_id=tenant_id)

        return waiting

    def _time(self, timeout: float | None, wait_timeout: float | None) -> float | None:
        """Return the call's time-out: long enough for the wait, unless the caller gave one."""
        if timeout is not None or wait_timeout is None:
            return timeout
        return max(self._connection.timeout, wait_timeout + MARGIN)
