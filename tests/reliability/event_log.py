"""The whole log of a server, and what must be true of it whatever has happened."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from google.protobuf.message import Message

from comby.client import Comby, CommandRecord, Recorded

Event: TypeAlias = Recorded[Message]


@dataclass(frozen=True, slots=True)
class EventLog:
    """All events of all tenants, in the order of the log."""

    events: list[Event]

    def effects(self) -> Counter[str]:
        """Count the events of each request."""
        return Counter(event.request_id for event in self.events)

    def assert_whole(self) -> None:
        """Positions have no hole, and no aggregate has a version twice, none or out of order."""
        assert list(range(1, len(self.events) + 1)) == [event.position for event in self.events]
        versions: Counter[tuple[str, str]] = Counter()
        for event in self.events:
            aggregate = (event.context.tenant_id, event.aggregate_id)
            versions[aggregate] += 1
            assert versions[aggregate] == event.version, event

    def assert_one_effect_each(self, request_ids: Iterable[str]) -> None:
        """Every one of these requests has caused one event."""
        effects = self.effects()
        wrong = {one: effects[one] for one in request_ids if effects[one] != 1}
        assert {} == wrong, f"{len(wrong)} requests without exactly one effect"


async def read_log(comby: Comby) -> EventLog:
    """Read everything."""
    return EventLog([event async for event in comby.read_events(all_tenants=True)])


async def read_commands(comby: Comby) -> dict[str, CommandRecord]:
    """Read every stored command of the connection's tenant, by its request id."""
    found: dict[str, CommandRecord] = {}
    token = ""
    while True:
        page = await comby.list_commands(page_size=1000, page_token=token)
        for record in page.items:
            assert record.receipt.request_id not in found
            found[record.receipt.request_id] = record
        if not (token := page.next_page_token):
            return found
