"""Refreshes the free read model after a state's message or fold has changed: rows of another stamp are folded anew,
in the background."""

import structlog

from comby.server.application import incidents
from comby.server.application.commit_queue import CommitQueue
from comby.server.application.contract import AggregateType
from comby.server.application.registry import Registry
from comby.server.application.repository import Repository
from comby.server.application.state_rows import state_row
from comby.server.domain.identity import AggregateKey
from comby.server.ports.event_store import Refreshed, RefreshState
from comby.server.ports.store import Store

_log = structlog.get_logger("comby.refresh")
PAGE_ROWS = 100


async def refresh_states(store: Store, registry: Registry, repository: Repository, queue: CommitQueue) -> None:
    """Refresh every aggregate's rows once; ends when none is stale."""
    for kind in registry.aggregates.values():
        try:
            await _refresh(kind, store, repository, queue)
        except Exception as error:
            incidents.report("refresh failed", error, aggregate=kind.identifier)


async def _refresh(kind: AggregateType, store: Store, repository: Repository, queue: CommitQueue) -> None:
    done = 0
    while stale := await store.read_models.stale(kind.model, stamp=kind.stamp, limit=PAGE_ROWS):
        written = 0
        for tenant_id, aggregate_id in stale:
            key = AggregateKey(tenant_id, kind.domain, aggregate_id)
            loaded = await repository.fold(key, kind)
            row = state_row(kind, key, loaded.version, loaded.state, loaded.state.SerializeToString())
            verdict = await queue.submit(RefreshState(key=key, version=loaded.version, state=row))
            written += isinstance(verdict, Refreshed) and verdict.written
        done += len(stale)
        if not written and await store.read_models.stale(kind.model, stamp=kind.stamp, limit=1) == stale[:1]:
            return
    if done:
        _log.info("states refreshed", aggregate=kind.identifier, rows=done)
