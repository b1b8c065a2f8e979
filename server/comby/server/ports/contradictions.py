"""What no request may ask for, in any adapter: a bug of the caller, which is told before anything is written."""

from comby.server.domain.identity import AggregateKey, Version
from comby.server.ports.command_store import CommandStatus
from comby.server.ports.event_store import FinishCommand


def versions_after(write: FinishCommand) -> dict[AggregateKey, Version]:
    """Return the versions that the checked aggregates have after a request.

    Raises ValueError for a request that contradicts itself: an end that is none, an event that does not follow the checked version of its
    aggregate, or a closed aggregate without a check.
    """
    if write.status is CommandStatus.ACCEPTED:
        raise ValueError("a command does not end as accepted")
    versions: dict[AggregateKey, Version] = {check.key: check.version for check in write.checks}
    for event in write.events:
        before = versions.get(event.key)
        if before is None:
            raise ValueError("an event's aggregate has no check")
        if event.version != before + 1:
            raise ValueError(f"an event has version {event.version} and follows version {before}")
        versions[event.key] = event.version
    if not write.closes <= versions.keys():
        raise ValueError("a closed aggregate has no check")
    return versions
