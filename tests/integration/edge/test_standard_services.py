"""Health and reflection, as standard tools use them."""

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from comby.server.bootstrap import Running
from tests.integration.edge.calls import failed, info_of

CHECK = "/grpc.health.v1.Health/Check"
INFO = "/grpc.reflection.{}.ServerReflection/ServerReflectionInfo"
SERVICES = ["comby.facade.v1.FacadeService", "shop.order.v1.OrderService", "shop.stock.v1.StockService"]
BUF = Path(sys.executable).parent / "buf"


@pytest.mark.parametrize("service", ["", *SERVICES])
async def test_the_health_of_each_service(channel: aio.Channel, service: str) -> None:
    raw = await channel.unary_unary(CHECK)(health_pb2.HealthCheckRequest(service=service).SerializeToString())
    assert health_pb2.HealthCheckResponse.FromString(raw).status == health_pb2.HealthCheckResponse.SERVING


async def test_the_health_of_a_service_that_is_not_served(channel: aio.Channel) -> None:
    error = await failed(
        channel.unary_unary(CHECK)(health_pb2.HealthCheckRequest(service="no.Such").SerializeToString())
    )
    assert (error.code(), info_of(error).reason) == (grpc.StatusCode.NOT_FOUND, "SERVICE_UNKNOWN")


async def test_watching_the_health(server: Running, channel: aio.Channel) -> None:
    call = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
    first = health_pb2.HealthCheckResponse.FromString(await call.read())
    server.health.stop()
    second = health_pb2.HealthCheckResponse.FromString(await call.read())
    assert (
        first.status,
        second.status,
    ) == (health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING)
    call.cancel()


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection(channel: aio.Channel, version: str) -> None:
    questions = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="shop.order.v1.OrderService"),
        reflection_pb2.ServerReflectionRequest(file_by_filename="comby/options/v1/options.proto"),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=f"grpc.reflection.{version}.ServerReflection"),
        reflection_pb2.ServerReflectionRequest(all_extension_numbers_of_type="google.protobuf.MessageOptions"),
        reflection_pb2.ServerReflectionRequest(
            file_containing_extension=reflection_pb2.ExtensionRequest(
                containing_type="google.protobuf.MessageOptions", extension_number=68732
            )
        ),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="no.Such"),
        reflection_pb2.ServerReflectionRequest(),
    ]
    call = channel.stream_stream(INFO.format(version))(one.SerializeToString() for one in questions)
    answers = [reflection_pb2.ServerReflectionResponse.FromString(raw) async for raw in call]
    assert questions == [answer.original_request for answer in answers]
    listed, typed, _, own, numbers, extension, unknown, nothing = answers
    assert {*SERVICES, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"} <= {
        service.name for service in listed.list_services_response.service
    }
    assert len(typed.file_descriptor_response.file_descriptor_proto) > 3
    assert own.HasField("file_descriptor_response")
    assert 68732 in numbers.all_extension_numbers_response.extension_number
    assert extension.HasField("file_descriptor_response")
    assert (unknown.error_response.error_code, nothing.error_response.error_code) == (5, 3)


@pytest.mark.skipif(not BUF.exists() and shutil.which("buf") is None, reason="buf is not installed")
async def test_buf_curl_calls_a_typed_method_by_reflection(server: Running) -> None:
    order = {
        "customerEmail": "ada@example.org",
        "lines": [{"stockId": "0190a6b0-1111-7000-8000-000000000001", "quantity": 2}],
    }
    command = [str(BUF) if BUF.exists() else "buf", "curl", "--protocol", "grpc", "--http2-prior-knowledge"]
    target = f"http://{server.address}/shop.order.v1.OrderService/PlaceOrder"
    for version in ("grpc-v1", "grpc-v1alpha"):
        run = await asyncio.to_thread(
            subprocess.run,
            [*command, "--reflect", "--reflect-protocol", version, "-d", json.dumps(order), target],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert "COMMAND_STAGE_EXECUTED" in run.stdout, run.stderr
    listed = await asyncio.to_thread(
        subprocess.run,
        [*command, "--list-methods", f"http://{server.address}"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert "shop.order.v1.OrderService/PlaceOrder" in listed.stdout
