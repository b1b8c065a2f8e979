"""The names of everything in NATS: subjects, the stream, headers.

A subject is a row of tokens between dots. Names that comby checks are tokens as they are; whatever else a name may hold is written as `=` and two
hexadecimal digits for each byte of its UTF-8, so that no name can be taken for another or reach into a subject of its own.
"""

import re

MESSAGE_ID = "Nats-Msg-Id"
EXPECTED_ID = "Nats-Expected-Last-Msg-Id"
EXPECTED_SEQUENCE = "Nats-Expected-Last-Sequence"
EXPECTED_STREAM = "Nats-Expected-Stream"
POSITION = "Comby-Position"
VERSION = "Comby-Version"
INCARNATION = "Comby-Incarnation"
CORRELATION = "Comby-Correlation-Id"
TRACEPARENT = "traceparent"

_UNFIT = re.compile(rb"[^A-Za-z0-9_-]")


class Subjects:
    """The names of one app, whose own name is their first token."""

    def __init__(self, app: str) -> None:
        name = token(app)
        self.stream = f"{name}-events"
        self.all_events = f"{name}.events.>"
        self.wakeups = f"{name}.wakeups"
        self.inbox = f"_INBOX.{name}"
        self._events = f"{name}.events."

    def event(self, tenant_id: str, type: str) -> str:
        """Return the subject of an event of a type, such as "Order.OrderPlaced"."""
        domain, _, name = type.partition(".")
        return f"{self._events}{token(tenant_id)}.{token(domain)}.{token(name)}"


def token(name: str) -> str:
    """Return a name as one token of a subject."""
    return _UNFIT.sub(lambda found: b"=%02X" % found[0][0], name.encode("utf-8", "surrogatepass")).decode() or "="
