"""The public surface: pinned, sorted, and free of private names."""

import comby.client as client

PUBLIC = [
    "Aborted",
    "AggregateState",
    "AlreadyExists",
    "CaughtUp",
    "Checkpoint",
    "Comby",
    "CombyError",
    "CommandCancelled",
    "CommandParked",
    "CommandRecord",
    "Connected",
    "Context",
    "DeadlineExceeded",
    "Disconnected",
    "FailedPrecondition",
    "InternalError",
    "InvalidArgument",
    "Lagging",
    "Log",
    "LogReplaced",
    "NotFound",
    "OutOfRange",
    "Overloaded",
    "Page",
    "PermissionDenied",
    "Pipeline",
    "ReadOptions",
    "Receipt",
    "Recorded",
    "Rejected",
    "RetryPolicy",
    "Stage",
    "Status",
    "SubscribeOptions",
    "Subscription",
    "Tls",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "VersionConflict",
    "Violation",
    "Wait",
    "connect",
]


def test_the_public_names_are_pinned() -> None:
    assert client.__all__ == PUBLIC
    assert sorted(PUBLIC) == PUBLIC


def test_every_public_name_exists_and_has_words() -> None:
    missing = [name for name in PUBLIC if name not in ("Wait", "Status") and not getattr(client, name).__doc__]
    assert missing == []


def test_every_error_is_drawn_in_the_tree() -> None:
    errors = [name for name in PUBLIC if isinstance(getattr(client, name), type)]
    errors = [name for name in errors if issubclass(getattr(client, name), client.CombyError)]
    assert client.__doc__ is not None
    assert [name for name in errors if name not in client.__doc__] == []
