"""Tells whether two commands under one request id are the same wish."""

import hashlib

from google.protobuf.message import DecodeError

from comby.server.application.event_codec import decode_context
from comby.server.application.pending import Pending
from comby.server.domain.identity import Version
from comby.server.ports.command_store import StoredCommand


def fingerprint(
    identifier: str, payload: bytes, actor_id: str, expected_version: Version | None, not_before: int | None
) -> bytes:
    """Digest what makes a command this one, as it was sent (SHA-256)."""
    head = f"{identifier}\0{actor_id}\0{expected_version}\0{not_before}\0"
    return hashlib.sha256(head.encode() + payload, usedforsecurity=False).digest()


def same_command(pending: Pending, stored: StoredCommand) -> bool:
    """Compare by digest, and where digests differ by meaning: equal messages may differ in bytes."""
    if stored.fingerprint == pending.new.fingerprint:
        return True
    if (
        stored.command is None
        or stored.type != pending.new.type
        or stored.expected_version != pending.new.expected_version
        or stored.not_before != pending.new.not_before
        or decode_context(stored.context).actor_id != pending.context.actor_id
    ):
        return False
    try:
        return bool(
            pending.kind.message.FromString(stored.command) == pending.kind.message.FromString(pending.new.command)
        )
    except DecodeError:
        return False
