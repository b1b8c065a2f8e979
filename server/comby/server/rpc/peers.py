"""The other instances over gRPC: one stream to each, with many commands in flight and several in a message."""

import asyncio
from collections import deque
from collections.abc import Collection

import grpc
import structlog
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from comby.cluster.v1 import instance_service_pb2
from comby.facade.v1 import context_pb2
from comby.server.application.errors import FACADE_DOMAIN, FacadeError, RequestIdReused, StoredError
from comby.server.application.limits import Limits
from comby.server.application.requests import CommandRequest, Receipt, Stage
from comby.server.domain.identity import Position, Version
from comby.server.ports.peers import Peers, PeerUnreachable
from comby.server.rpc.encoding import STAGE_NUMBERS, STAGES
from comby.server.rpc.grpc_server import TlsFiles
from comby.server.rpc.instance_service import FORWARD
from comby.server.rpc.packing import next_message
from comby.server.rpc.wire import length_delimited

_log = structlog.get_logger("comby.peers")
_COMMANDS_FIELD = instance_service_pb2.ForwardCommandsRequest.COMMANDS_FIELD_NUMBER
NOT_THERE = frozenset({"SHUTTING_DOWN", "STORE_UNAVAILABLE", "UNKNOWN_TYPE", "INVALID_MESSAGE"})
"""Refusals after which somebody else may take the command: the other instance ends, or is of another version, for this one has admitted it."""


class GrpcPeers(Peers[CommandRequest, Receipt]):
    """Links to other instances, made when they are first needed."""

    def __init__(self, limits: Limits, credentials: grpc.ChannelCredentials | None) -> None:
        self._limits = limits
        self._credentials = credentials
        self._links: dict[str, Link] = {}

    async def dispatch(self, address: str, request: CommandRequest) -> Receipt:
        link = self._links.get(address)
        if link is not None and link.broken:
            # What was sent on it before is told so first, and must not be overtaken on a new one.
            await asyncio.sleep(0)
            if self._links.get(address) is link:
                del self._links[address]
            raise PeerUnreachable
        if link is None:
            link = self._links[address] = Link(address, self._channel(address))
        return await link.send(request)

    def keep(self, addresses: Collection[str]) -> None:
        for address in [address for address in self._links if address not in addresses]:
            self._links.pop(address).break_off()

    async def close(self) -> None:
        """Break all links off."""
        links = list(self._links.values())
        self.keep(())
        await asyncio.gather(*(link.closed() for link in links))

    def _channel(self, address: str) -> aio.Channel:
        options = [
            ("grpc.max_receive_message_length", self._limits.message_bytes * 2),
            ("grpc.keepalive_time_ms", 20_000),
            ("grpc.keepalive_timeout_ms", 5_000),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        if self._credentials is None:
            return aio.insecure_channel(address, options=options)
        return aio.secure_channel(address, self._credentials, options=options)


def peer_credentials(tls: TlsFiles | None) -> grpc.ChannelCredentials | None:
    """Return the credentials with which instances reach each other; None for the clear."""
    if tls is None or tls.client_ca is None:
        return None
    return grpc.ssl_channel_credentials(
        root_certificates=tls.client_ca.read_bytes(),
        private_key=tls.key.read_bytes(),
        certificate_chain=tls.certificate.read_bytes(),
    )


class Link:
    """One stream to one instance. When it breaks, everything that is in flight on it fails, and it is not used again."""

    def __init__(self, address: str, channel: aio.Channel) -> None:
        self.broken = False
        self._address = address
        self._channel = channel
        self._number = 0
        self._waiting: deque[bytes] = deque()
        self._more = asyncio.Event()
        self._answers: dict[int, asyncio.Future[Receipt]] = {}
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def send(self, request: CommandRequest) -> Receipt:
        """Send a command and return its receipt. Raises PeerUnreachable or what the other instance refuses it with."""
        if self.broken:
            raise PeerUnreachable
        self._number += 1
        answer: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._answers[self._number] = answer
        message = _forwarded(self._number, request)
        self._waiting.append(length_delimited(_COMMANDS_FIELD, message.SerializeToString()))
        self._more.set()
        return await answer

    def break_off(self) -> None:
        """Use it no more; it may not even have begun."""
        self._task.cancel()
        self._fail()

    async def closed(self) -> None:
        """Wait until it is closed."""
        await asyncio.gather(self._task, return_exceptions=True)
        await self._channel.close()

    async def _run(self) -> None:
        writing: asyncio.Task[None] | None = None
        try:
            call: aio.StreamStreamCall[bytes, bytes] = self._channel.stream_stream(FORWARD)()
            writing = asyncio.get_running_loop().create_task(self._write(call))
            async for raw in call:
                for outcome in instance_service_pb2.ForwardCommandsResponse.FromString(raw).outcomes:
                    self._settle(outcome)
        except aio.AioRpcError as error:
            _log.warning("instance not reached", address=self._address, code=error.code().name)
        finally:
            if writing is not None:
                writing.cancel()
            self._fail()
            await self._channel.close()

    def _fail(self) -> None:
        self.broken = True
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(PeerUnreachable())
        self._answers.clear()

    async def _write(self, call: aio.StreamStreamCall[bytes, bytes]) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._waiting:
                await call.write(b"".join(next_message(self._waiting)))

    def _settle(self, outcome: instance_service_pb2.ForwardedOutcome) -> None:
        answer = self._answers.pop(outcome.number, None)
        if answer is None or answer.done():
            return
        if outcome.WhichOneof("outcome") == "receipt":
            answer.set_result(_receipt(outcome))
            return
        error = _error(outcome.refused)
        if error.domain == FACADE_DOMAIN and error.reason in NOT_THERE:
            answer.set_exception(PeerUnreachable())
        else:
            answer.set_exception(error)


def _forwarded(number: int, request: CommandRequest) -> instance_service_pb2.ForwardedCommand:
    context = request.context
    return instance_service_pb2.ForwardedCommand(
        number=number,
        type=request.type,
        command=request.payload,
        context=context_pb2.RequestContext(
            tenant_id=context.tenant_id,
            actor_id=context.actor_id,
            correlation_id=context.correlation_id,
            causation_id=context.causation_id,
            traceparent=context.traceparent,
        ),
        request_id=request.request_id,
        wait=STAGE_NUMBERS[request.wait],
        wait_seconds=request.wait_timeout or 0.0,
        expected_version=request.expected_version,
        retried=request.retried,
        not_before=request.not_before,
    )


def _receipt(outcome: instance_service_pb2.ForwardedOutcome) -> Receipt:
    message = outcome.receipt
    return Receipt(
        request_id=message.request_id,
        stage=STAGES.get(message.stage, Stage.ACCEPTED),
        aggregate_id=message.aggregate_id,
        aggregate_version=Version(message.aggregate_version),
        position=Position(outcome.position),
        token=message.consistency_token,
        event_ids=tuple(message.event_ids),
        error=_error(message.error) if message.HasField("error") else None,
    )


def _error(status: status_pb2.Status) -> FacadeError:
    """Return an error as the other instance told it; one that this process tells apart is of its own kind again."""
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Is(info.DESCRIPTOR) and detail.Unpack(info):
            if (info.domain, info.reason) == (FACADE_DOMAIN, RequestIdReused.reason):
                return RequestIdReused(info.metadata["request_id"])
            return StoredError(info.reason, info.domain, dict(info.metadata))
    return StoredError("INTERNAL", FACADE_DOMAIN, {})
