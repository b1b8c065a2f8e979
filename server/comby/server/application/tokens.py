"""Opaque tokens: what a consistency token and a page token hold is nobody's business but ours."""

import base64
import binascii
import hashlib
import json

from comby.server.application.errors import InvalidToken, LogReplaced
from comby.server.domain.identity import LogIdentity, Position

_LOG_CHARACTERS = 16


class ConsistencyTokens:
    """Makes and reads the tokens of one log: which log, which incarnation, and a position."""

    def __init__(self, log: LogIdentity) -> None:
        digest = hashlib.sha256(f"{log.log_id}/{log.incarnation}".encode()).digest()
        self._log = log
        self._prefix = base64.urlsafe_b64encode(digest)[:_LOG_CHARACTERS].decode()

    def make(self, position: Position) -> str:
        """Return the token of a position."""
        return f"{self._prefix}{position:x}"

    def read(self, token: str) -> Position:
        """Return the position of a token. Raises InvalidToken, or LogReplaced for one of another log or incarnation."""
        prefix, digits = token[:_LOG_CHARACTERS], token[_LOG_CHARACTERS:]
        if not digits or len(digits) > 16 or not all(digit in "0123456789abcdef" for digit in digits):
            raise InvalidToken("consistency")
        if prefix != self._prefix:
            raise LogReplaced(self._log)
        return Position(int(digits, 16))


def make_page_token(scope: str, *cursor: str | int) -> str:
    """Return the token of a page's end; it is good for the same request only, which `scope` tells."""
    body = json.dumps([_digest(scope), *cursor], separators=(",", ":"))
    return base64.urlsafe_b64encode(body.encode()).rstrip(b"=").decode()


def read_page_token(scope: str, token: str, *kinds: type) -> list[str | int]:
    """Return the cursor of a page token; raises InvalidToken for one that was not made for this request."""
    try:
        body = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        raise InvalidToken("page") from None
    if not isinstance(body, list) or len(body) != len(kinds) + 1 or body[0] != _digest(scope):
        raise InvalidToken("page")
    cursor = body[1:]
    if not all(type(value) is kind and _storable(value) for value, kind in zip(cursor, kinds, strict=True)):
        raise InvalidToken("page")
    return cursor


def _storable(value: object) -> bool:
    """Tell whether a store can take a value: a token may be anybody's making."""
    if isinstance(value, int):
        return 0 <= value < 1 << 63
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _digest(scope: str) -> str:
    return hashlib.sha256(scope.encode()).hexdigest()[:12]
