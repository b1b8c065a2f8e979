"""The operator's commands against a scripted server, whose types they learn by reflection."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from typer.testing import CliRunner

from comby.client.cli import app
from comby.facade.v1 import event_pb2, facade_service_pb2_grpc
from tests.unit.client.scripted_facade import LOG, Script, event, fail

Response = event_pb2.SubscribeEventsResponse
Run = Callable[..., Awaitable[Any]]  # of what CliRunner.invoke returns


@pytest.fixture
async def run(script: Script) -> AsyncIterator[Run]:
    """Type a command against a server with reflection and health; the command has a thread and a loop of its own."""
    server = grpc.aio.server()
    facade_service_pb2_grpc.add_FacadeServiceServicer_to_server(script, server)
    reflection.enable_server_reflection(["shop.order.v1.OrderService", "comby.facade.v1.FacadeService"], server)
    checks = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    await checks.set("", health_pb2.HealthCheckResponse.SERVING)
    await checks.set("stopping", health_pb2.HealthCheckResponse.NOT_SERVING)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    async def type_(*words: str, alone: bool = False) -> Any:
        if alone:  # in a process that knows no domain
            command = [sys.executable, "-c", "from comby.client.cli import app; app()", *words]
            whole = [*command, "--target", f"127.0.0.1:{port}"]
            return await asyncio.to_thread(subprocess.run, whole, capture_output=True, text=True, check=True)
        return await asyncio.to_thread(CliRunner().invoke, app, [*words, "--target", f"127.0.0.1:{port}"])

    yield type_
    await server.stop(0)


async def test_tail_prints_decoded_events(run: Run, script: Script) -> None:
    unknown = event(2)
    unknown.plain.type_url = "type.googleapis.com/no.such.Event"

    async def subscription(request: event_pb2.SubscribeEventsRequest, context: object) -> AsyncIterator[Response]:
        yield Response(confirmed=Response.Confirmed(subscription_id="s", log=LOG))
        yield Response(events=Response.Events(events=[event(1), unknown]))
        await asyncio.sleep(60)

    script.subscriptions = [subscription]
    result = await run("events", "tail", "--json", "--limit", "2", "--type", "Order.OrderPaid", "--after", "0")
    assert 0 == result.exit_code, result.output
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert (1, "Order.OrderPaid", {"amountCents": "1"}) == (first["position"], first["type"], first["event"])
    assert {"unknown": "no.such.Event", "base64": "CAI="} == second["event"]["value"]
    [request] = script.requests
    assert ["Order.OrderPaid"] == list(getattr(request, "filter").types)  # noqa: B009


async def test_a_state_is_printed_as_json(run: Run, script: Script) -> None:
    result = await run("aggregate", "show", "Order.Order", "one", "--at-version", "2", "--tenant", "north", alone=True)
    state = {"@type": "type.googleapis.com/shop.order.v1.Order", "orderId": "one"}
    assert {"aggregateId": "one", "version": "2", "state": state} == json.loads(result.stdout)
    assert "north" == script.metadata[0]["comby-tenant-id"]


async def test_an_error_is_one_line_and_exit_code_1(run: Run, script: Script) -> None:
    script.unary = [
        lambda context: fail(context, grpc.StatusCode.FAILED_PRECONDITION, "COMMAND_NOT_PARKED", request_id="r")
    ]
    result = await run("command", "retry", "r")
    assert (1, "", "COMMAND_NOT_PARKED: told by the script (request_id=r)\n") == (
        result.exit_code,
        result.stdout,
        result.stderr,
    )


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["health"], 0, "SERVING\n"),
        (["health", "stopping"], 1, "the server is NOT_SERVING\n"),
        (["events", "tail", "--after", "1", "--from-head"], 1, "give --after or --from-head, not both\n"),
        (["aggregate", "show", "A.B", "i", "--at-time", "noon"], 1, "Invalid isoformat string: 'noon'\n"),
        (["health", "--tls-ca", "/no/such.pem"], 1, "[Errno 2] No such file or directory: '/no/such.pem'\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
async def test_what_is_said(run: Run, words: list[str], code: int, said: str) -> None:
    result = await run(*words)
    assert (code, said) == (result.exit_code, result.output)


@pytest.mark.parametrize(
    "words",
    [
        *("events tail", "command get", "command list", "command retry", "command cancel", "aggregate show", "health"),
        *("projection list", "projection rebuild"),
        *("reactor list", "reactor parked", "reactor retry", "reactor skip"),
    ],
)
def test_every_command_tells_its_options(words: str) -> None:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*words.split(), "--help"])
    assert 0 == result.exit_code
    assert "--target" in result.output
