"""The table of options in docs/moving-in.md names options that exist."""

from __future__ import annotations

import re
from pathlib import Path

from portway.config.declared import BY_NAME
from portway.moving import gunicorn, uvicorn

PAGE = Path(__file__).parent.parent.parent / "docs" / "moving-in.md"


def test_every_option_of_the_table_exists() -> None:
    table = PAGE.read_text().partition("## Options of others")[2].partition("## Files")[0]
    cells = [line.split("|")[2] for line in table.splitlines() if line.startswith("| ")][2:]
    options = [name.split()[0] for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    assert len(options) > 30
    assert [name for name in options if name not in BY_NAME] == []


def test_no_option_is_translated_to_one_that_never_was() -> None:
    """Those of TLS come with it; anything else must exist already."""
    later = {"certfile", "keyfile", "keyfile-password", "ca-certs", "ciphers"}
    targets = {*gunicorn.SAME.values(), *uvicorn.SAME.values()}
    assert targets - later - {*BY_NAME} == set()
