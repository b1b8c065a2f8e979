"""What the documents tell a reader to do works, in their order; where they lead to exists."""

from pathlib import Path

import pytest

from tests.docs.documents import DOCUMENTS, ROOT, anchors, executable_blocks, links, name_of
from tests.docs.walk import Walk

EXECUTABLE = [document for document in DOCUMENTS if executable_blocks(document)]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("document", EXECUTABLE, ids=name_of)
async def test_every_block_that_says_so_can_be_executed(document: Path, tmp_path: Path) -> None:
    blocks = executable_blocks(document)
    walk = Walk(tmp_path)
    try:
        if not any(block.action == "serve" for block in blocks):
            await walk.serve()
        for block in blocks:
            try:
                await walk.step(block)
            except AssertionError as error:
                raise AssertionError(f"{name_of(document)}, line {block.line}: {error}") from None
    finally:
        await walk.end()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in links(document):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        found = (document.parent / file).resolve() if file else document
        assert found.exists(), f"{name_of(document)} links to {target}"
        assert found.is_relative_to(ROOT), f"{name_of(document)} links to {target}"
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found), f"{name_of(document)} links to {target}"


def test_every_document_is_reached_from_the_readme() -> None:
    reached, open_ = set[Path](), {ROOT / "README.md"}
    while open_:
        document = open_.pop()
        reached.add(document)
        files = {(document.parent / link.partition("#")[0]).resolve() for link in links(document) if "://" not in link}
        open_ |= {file for file in files if file.suffix == ".md"} - reached
    assert set(DOCUMENTS) == reached & set(DOCUMENTS)
