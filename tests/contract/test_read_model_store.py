"""Rows of read models: by key, in pages by indexed fields, and those that are stale."""

import pytest

from comby.server.domain.identity import Position, Version
from comby.server.ports.checkpoint_store import AdvanceConsumer, Advanced, Consumer
from comby.server.ports.event_store import Committed
from comby.server.ports.read_model_store import DeleteRow, OrderedRow, PutRow, RowQuery, StoredRow
from comby.server.ports.store import Store
from tests.contract.making import TENANT, commit_one, finish, row

MODEL = "orders"
STATUSES = ("open", "paid", "späť 😀")


async def put(store: Store, *rows: PutRow) -> None:
    assert isinstance(await commit_one(store, finish(states=rows)), Committed)


async def delete(store: Store, key: str) -> None:
    """Delete a row as a projection does."""
    await store.checkpoints.create(
        Consumer(name="p", generation=1, version=1, live=True, position=Position(0), since=Position(0))
    )
    gone = DeleteRow(model=MODEL, tenant_id=TENANT, key=key)
    write = AdvanceConsumer(name="p", generation=1, before=Position(0), after=Position(0), rows=(gone,))
    assert await commit_one(store, write) == Advanced()


def query(**fields: object) -> RowQuery:
    return RowQuery(model=MODEL, tenant_id=TENANT, **fields)  # type: ignore[arg-type]


async def keys(store: Store, asked: RowQuery, *, limit: int = 100) -> list[str]:
    return [found.row.key for found in await store.read_models.list(asked, limit=limit)]


async def test_a_row_is_stored_as_given(store: Store) -> None:
    await put(store, row("a", {"status": "open"}, content=b"\xff\x00", stamp="s", version=3))
    expected = StoredRow(key="a", row=b"\xff\x00", stamp="s", version=Version(3))
    assert await store.read_models.get(MODEL, TENANT, "a") == expected
    assert await store.read_models.list(query(filter={"status": "open"}), limit=9) == [OrderedRow(expected, "")]


async def test_a_row_is_found_under_its_whole_key_only(store: Store) -> None:
    await put(store, row("a"))
    assert await store.read_models.get("others", TENANT, "a") is None
    assert await store.read_models.get(MODEL, "other", "a") is None
    assert await store.read_models.get(MODEL, TENANT, "b") is None
    assert list(await store.read_models.list(RowQuery(model=MODEL, tenant_id="other"), limit=9)) == []
    assert list(await store.read_models.list(RowQuery(model="others", tenant_id=TENANT), limit=9)) == []


async def test_many_rows_are_read_at_once(store: Store) -> None:
    await put(store, row("a", content=b"1"), row("b", content=b"2"), row("a", tenant_id="other", content=b"3"))
    asked = [(TENANT, "a"), ("other", "a"), ("other", "b"), (TENANT, "a")]
    found = await store.read_models.get_many(MODEL, asked)
    assert {key: stored.row for key, stored in found.items()} == {(TENANT, "a"): b"1", ("other", "a"): b"3"}
    assert await store.read_models.get_many(MODEL, []) == {}


async def test_a_row_that_is_written_again_is_found_by_its_new_fields_only(store: Store) -> None:
    await put(store, row("a", {"status": "open", "total": "1"}))
    await put(store, row("a", {"status": "paid", "other": "x"}))
    assert await keys(store, query(filter={"status": "open"})) == []
    assert await keys(store, query(filter={"status": "paid", "other": "x"})) == ["a"]
    assert await keys(store, query(order_by="total")) == []


async def test_a_deleted_row_is_found_by_nothing(store: Store) -> None:
    await put(store, row("a", {"status": "open"}), row("b", {"status": "open"}))
    await delete(store, "a")
    await delete(store, "unknown")
    assert await store.read_models.get(MODEL, TENANT, "a") is None
    assert await keys(store, query()) == ["b"]
    assert await keys(store, query(filter={"status": "open"})) == ["b"]
    assert await keys(store, query(order_by="status")) == ["b"]


@pytest.fixture
async def rows(store: Store) -> dict[str, dict[str, str]]:
    """Rows with two indexed fields, some of them without one, and neighbours in another tenant and model."""
    found = {
        f"k{number:02}": {"status": STATUSES[number % 3], "total": f"{number * 7 % 20:03}"} for number in range(30)
    }
    for key in ("k03", "k10", "k17"):
        del found[key]["total"]
    await put(store, *(row(key, fields) for key, fields in found.items()))
    neighbours = [row(key, fields, tenant_id="other") for key, fields in found.items()]
    await put(store, *neighbours, *(row(key, fields, model="others") for key, fields in found.items()))
    return found


FILTERS: list[dict[str, str]] = [
    {},
    {"status": "open"},
    {"status": STATUSES[2]},
    {"status": "paid", "total": "007"},
    {"total": "007"},
    {"status": "unknown"},
    {"unknown": "open"},
]


@pytest.mark.parametrize("limit", [1, 4, 100])
@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
@pytest.mark.parametrize("order_by", ["", "total", "status", "unknown"])
@pytest.mark.parametrize("filter", FILTERS, ids=str)
async def test_rows_are_filtered_ordered_and_paged(
    store: Store,
    rows: dict[str, dict[str, str]],
    filter: dict[str, str],
    order_by: str,
    descending: bool,
    limit: int,
) -> None:
    expected = sorted(
        (
            (fields[order_by] if order_by else "", key)
            for key, fields in rows.items()
            if filter.items() <= fields.items() and (not order_by or order_by in fields)
        ),
        reverse=descending,
    )
    found: list[tuple[str, str]] = []
    while True:
        asked = query(filter=filter, order_by=order_by, descending=descending, after=found[-1] if found else None)
        page = await store.read_models.list(asked, limit=limit)
        assert len(page) <= limit
        found.extend((entry.value, entry.row.key) for entry in page)
        if len(page) < limit:
            break
    assert found == expected


async def test_a_field_that_selects_many_rows_is_filtered_along_the_order(store: Store) -> None:
    for chunk in (range(start, start + 800) for start in range(0, 2_400, 800)):
        await put(store, *(row(f"{number:05}", {"even": str(number % 2), "by": f"{-number:06}"}) for number in chunk))
    found = await keys(store, query(filter={"even": "1"}, order_by="by", descending=True), limit=3)
    totals = sorted((f"{-number:06}" for number in range(2_400) if number % 2), reverse=True)
    assert found == [f"{-int(total):05}" for total in totals[:3]]


async def test_values_are_ordered_by_code_point(store: Store) -> None:
    values = ["", "A", "Z", "a", "é", "\ue000", "\U0001f600", "a\x00b", "1", "10", "2"]
    await put(store, *(row(f"k{number:02}", {"value": value}) for number, value in enumerate(values)))
    page = await store.read_models.list(query(order_by="value"), limit=100)
    assert [entry.value for entry in page] == sorted(values)


async def test_stale_rows_are_those_of_another_stamp(store: Store) -> None:
    await put(store, row("a", stamp="s1"), row("b", stamp="s2"), row("c", stamp="s3"), row("d", tenant_id="other"))
    await put(store, row("e", model="others", stamp="s9"))
    assert sorted(await store.read_models.stale(MODEL, stamp="s2", limit=9)) == [
        (TENANT, "a"),
        (TENANT, "c"),
        ("other", "d"),
    ]
    assert len(await store.read_models.stale(MODEL, stamp="s2", limit=2)) == 2
    assert list(await store.read_models.stale("others", stamp="s9", limit=9)) == []


async def test_a_model_is_dropped_in_every_tenant(store: Store) -> None:
    await put(store, *(row(f"{number}", {"status": "open"}, tenant_id=f"t{number % 3}") for number in range(1_300)))
    await put(store, row("kept", {"status": "open"}, model="others"))
    await store.read_models.drop(MODEL)
    for tenant in ("t0", "t1", "t2"):
        assert await store.read_models.list(RowQuery(model=MODEL, tenant_id=tenant), limit=9) == []
        asked = RowQuery(model=MODEL, tenant_id=tenant, order_by="status")
        assert await store.read_models.list(asked, limit=9) == []
    assert await store.read_models.get("others", TENANT, "kept") is not None
    await store.read_models.drop("unknown")
