"""The documents, their fenced blocks, and their links.

A block is executed when its info string says so: `sh run` and `python run` are run in the document's own folder,
`LANGUAGE file=PATH` is written to it, and `sh serve` starts a server that the blocks after it talk to. Every other
block is for people only.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = tuple(sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]))
FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)
WORDS = ("run", "serve")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: its language, what to do with it, and the line at which it stands."""

    language: str
    action: str
    text: str
    line: int


def name_of(document: Path) -> str:
    """Return a document's path in the repository."""
    return document.relative_to(ROOT).as_posix()


def executable_blocks(document: Path) -> list[Block]:
    """Return the blocks that are executed, in order."""
    text = document.read_text("utf-8")
    blocks = []
    for match in FENCE.finditer(text):
        language, _, action = match["info"].strip().partition(" ")
        if action in WORDS or action.startswith("file="):
            line = text.count("\n", 0, match.start()) + 1
            blocks.append(Block(language=language, action=action, text=match["text"], line=line))
        elif action:
            raise ValueError(f"{name_of(document)}: {match['info']!r} says nothing that is known")
    return blocks


def links(document: Path) -> Iterator[str]:
    """Yield the targets of a document's links."""
    prose = FENCE.sub("", document.read_text("utf-8"))
    yield from (match["target"] for match in LINK.finditer(prose))


def anchors(document: Path) -> set[str]:
    """Return the names of a document's headings, as they are linked to."""
    prose = FENCE.sub("", document.read_text("utf-8"))
    headings = (match["text"].lower() for match in HEADING.finditer(prose))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}
