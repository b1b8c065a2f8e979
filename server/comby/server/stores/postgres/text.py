"""Text that PostgreSQL can hold: U+0000, which it can not, is escaped so that the order by code point stays the same."""

from collections.abc import Sequence

ESCAPE = "\x01"


def escaped(text: str) -> str:
    """Return a text without U+0000: it becomes U+0001 U+0001, and U+0001 becomes U+0001 U+0002."""
    if "\x00" not in text and ESCAPE not in text:
        return text
    return text.replace(ESCAPE, "\x01\x02").replace("\x00", "\x01\x01")


def unescaped(text: str) -> str:
    """Return the text that was escaped."""
    if ESCAPE not in text:
        return text
    return "\x00".join(part.replace("\x01\x02", ESCAPE) for part in text.split("\x01\x01"))


def escaped_all(texts: Sequence[str]) -> Sequence[str]:
    """Escape many texts; where none needs it, they are looked at all at once."""
    joined = "".join(texts)
    if "\x00" not in joined and ESCAPE not in joined:
        return texts
    return [escaped(text) for text in texts]
