"""The pages that list things list exactly what there is."""

import re

from comby.facade.v1 import error_pb2
from comby.server.settings import settings_table
from tests.docs.documents import ROOT

ROW = re.compile(r"^\| `(?P<reason>[A-Z_]+)` \| (?P<code>[A-Z_]+) \| .+ \| .+ \| (?P<keys>.*) \|$", re.MULTILINE)
PROTO = ROOT / "protos" / "comby" / "facade" / "v1" / "error.proto"
VALUE = re.compile(r"(?P<comment>(?: *//.*\n)+) *ERROR_REASON_(?P<reason>[A-Z_]+) = (?P<number>\d+);")
COMMENT = re.compile(r"ERROR_REASON_[A-Z_]+ \((?P<code>[A-Z_]+)\): .+?(?: Metadata: (?P<keys>.+)\.)?$")


def test_every_reason_has_its_row_with_code_and_metadata() -> None:
    page = (ROOT / "docs" / "errors.md").read_text("utf-8")
    rows = {
        match["reason"]: (match["code"], set(re.findall(r"`([a-z_]+)`", match["keys"]))) for match in ROW.finditer(page)
    }
    assert _reasons_of_the_contract() == rows


def test_the_contract_is_read_whole() -> None:
    names = {name.removeprefix("ERROR_REASON_") for name, _ in error_pb2.ErrorReason.items()}
    assert names - {"UNSPECIFIED"} == set(_reasons_of_the_contract())


def test_every_setting_is_listed() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    missing = [row for row in settings_table().strip().splitlines() if row not in page.splitlines()]
    assert [] == missing, "docs/configuration.md is behind the settings; run `make generate`"


def _reasons_of_the_contract() -> dict[str, tuple[str, set[str]]]:
    reasons = {}
    for match in VALUE.finditer(PROTO.read_text("utf-8")):
        comment = " ".join(line.strip().removeprefix("//").strip() for line in match["comment"].strip().splitlines())
        said = COMMENT.fullmatch(comment)
        if said is not None:
            keys = {key.partition(" ")[0].strip() for key in (said["keys"] or "").split(", ")} - {"", "which"}
            reasons[match["reason"]] = (said["code"], keys)
    return reasons


def test_the_files_of_the_architecture_exist() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    rooms = ROOT / "server" / "comby" / "server"
    for name in re.findall(r"`([a-z_/.]+\.(?:py|proto))`", page):
        places = [ROOT / name, rooms / name, rooms / "application" / name]
        assert any(place.exists() for place in places), f"ARCHITECTURE.md names {name}"
