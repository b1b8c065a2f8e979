"""Writes the table of all settings into its page: `python -m tests.docs.settings_page`, as `make generate` does."""

import re

from comby.server.settings import settings_table
from tests.docs.documents import ROOT

PAGE = ROOT / "docs" / "configuration.md"
TABLE = re.compile(r"^\| variable \|.*?\n(?=\n)", re.MULTILINE | re.DOTALL)


def main() -> None:
    PAGE.write_text(TABLE.sub(lambda _: settings_table(), PAGE.read_text("utf-8"), count=1), "utf-8")


if __name__ == "__main__":
    main()
