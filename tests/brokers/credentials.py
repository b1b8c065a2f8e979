"""Identities for NATS: nkeys, and credentials files with a JWT that a server trusts."""

import base64
import json
import secrets
import time
from pathlib import Path
from typing import Any

import nkeys

PREFIXES = {
    "operator": nkeys.PREFIX_BYTE_OPERATOR,
    "account": nkeys.PREFIX_BYTE_ACCOUNT,
    "user": nkeys.PREFIX_BYTE_USER,
}
UNBOUNDED = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf", "mem_storage", "disk_storage", "streams", "consumer"), -1)  # fmt: skip


class Identity:
    """A key pair of one kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.seed: str = nkeys.encode_seed(secrets.token_bytes(32), PREFIXES[kind]).decode()
        self._pair = nkeys.from_seed(bytearray(self.seed.encode()))
        self.public: str = self._pair.public_key.decode()

    def vouch(self, for_: "Identity", **claims: Any) -> str:
        """Return a JWT in which this identity tells who another one is."""
        now = int(time.time())
        body = {"jti": secrets.token_hex(8), "iat": now, "iss": self.public, "sub": for_.public, "name": for_.kind}
        head = {"typ": "JWT", "alg": "ed25519-nkey"}
        signed = f"{_part(head)}.{_part({**body, 'nats': {'type': for_.kind, 'version': 2, **claims}})}"
        return f"{signed}.{_base64(self._pair.sign(signed.encode()))}"


class Trust:
    """An operator with one account and one user in it."""

    def __init__(self) -> None:
        operator, system, account, self._user = (Identity(kind) for kind in ("operator", "account", "account", "user"))
        account_jwt = operator.vouch(account, limits={**UNBOUNDED, "wildcards": True})
        self._user_jwt = account.vouch(self._user, subs=-1, data=-1, payload=-1)
        self.settings = (
            f"operator: {operator.vouch(operator)}\n"
            f"system_account: {system.public}\nresolver: MEMORY\n"
            f"resolver_preload: {{ {account.public}: {account_jwt}, {system.public}: {operator.vouch(system)} }}\n"
        )

    def write(self, file: Path) -> Path:
        """Write the user's credentials file."""
        file.write_text(
            f"-----BEGIN NATS USER JWT-----\n{self._user_jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{self._user.seed}\n------END USER NKEY SEED------\n"
        )
        return file


def _part(fields: dict[str, Any]) -> str:
    return _base64(json.dumps(fields).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
