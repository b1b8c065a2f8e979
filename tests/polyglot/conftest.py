"""Fixtures: the built tools and a shop that serves."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.brokers.fixtures import nats_server, start_nats
from tests.polyglot import polyglot_tools
from tests.polyglot.shop_process import ShopProcess
from tests.postgres_databases import databases

__all__ = ["nats_server", "start_nats"]

HERE = Path(__file__).parent
TEST_SECONDS = 120


@pytest.fixture(scope="session")
def grpcurl() -> str:
    """The program grpcurl."""
    return str(polyglot_tools.grpcurl())


@pytest.fixture(scope="session")
def buf() -> str:
    """The program buf."""
    return str(polyglot_tools.buf())


@pytest.fixture(scope="session")
def go_client() -> list[str]:
    """The command of the Go client."""
    return polyglot_tools.go_client()


@pytest.fixture(scope="session")
def node_client() -> list[str]:
    """The command of the Node client."""
    return polyglot_tools.node_client()


@pytest.fixture(scope="session")
def consumers() -> dict[str, list[str]]:
    """The commands of the consumers that live on the broker, by their language."""
    return {"go": polyglot_tools.go_consumer(), "python": polyglot_tools.python_consumer()}


@pytest.fixture(params=["go", "node"])
def client(request: pytest.FixtureRequest) -> list[str]:
    """The command of either client."""
    command: list[str] = request.getfixturevalue(f"{request.param}_client")
    return command


@pytest.fixture
def serve_shop(tmp_path: Path) -> Iterator[Callable[..., ShopProcess]]:
    """Start a shop, with further flags of `comby serve`; it is stopped in order at the end, unless the test killed it."""
    with ExitStack() as stack:

        def start(*flags: str, store: str = "") -> ShopProcess:
            shop = ShopProcess(tmp_path, *flags, store=store)
            stack.callback(shop.stop)
            shop.start()
            return shop

        yield start


@pytest.fixture(scope="module")
def shared_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopProcess]:
    """A shop that serves all tests of a file, which leave it running."""
    shop = ShopProcess(tmp_path_factory.mktemp("shop"))
    shop.start()
    yield shop
    shop.stop()


@pytest.fixture
def shop(request: pytest.FixtureRequest, serve_shop: Callable[..., ShopProcess], tmp_path: Path) -> ShopProcess:
    """A shop that serves; on SQLite unless the test asks for another store."""
    return serve_shop(store=databases().url(tmp_path) if getattr(request, "param", "sqlite") == "postgres" else "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the time-out be of the tests alone: a first build takes longer, and has a limit of its own."""
    for item in items:
        if item.path.parent == HERE and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TEST_SECONDS, func_only=True))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was left out, and why."""
    reasons = sorted(
        {_reason(report) for report in terminalreporter.stats.get("skipped", []) if "polyglot" in report.nodeid}
    )
    if reasons:
        terminalreporter.section("polyglot tests left out", yellow=True, bold=True)
        for reason in reasons:
            terminalreporter.line(reason, yellow=True, bold=True)


def _reason(report: pytest.TestReport) -> str:
    return str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
