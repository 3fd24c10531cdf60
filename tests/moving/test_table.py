"""The table of options in docs/moving-in.md names options that exist."""

from __future__ import annotations

import re
from pathlib import Path

from portway.config.declared import BY_NAME
from portway.moving import gunicorn, uvicorn
from portway.moving.command_line import FLAGS

PAGE = Path(__file__).parent.parent.parent / "docs" / "moving-in.md"


def rows() -> list[list[str]]:
    """Return the cells of the table, without its head."""
    table = PAGE.read_text().partition("## Options of others")[2].partition("## Files")[0]
    return [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ")][2:]


def test_every_option_of_the_table_exists() -> None:
    options = [name.split()[0] for row in rows() for name in re.findall(r"`([^`]+)`", row[1])]
    assert len(options) > 30
    assert [name for name in options if name not in BY_NAME] == []


def test_what_import_translates_is_in_the_table() -> None:
    table = [(name.split()[0], row) for row in rows() for name in re.findall(r"`([^`]+)`", row[1])]
    spelled: dict[str, set[str]] = {}
    for flag, setting in FLAGS.items():
        spelled.setdefault(setting, set()).add(f"`{flag}`")
    for setting, option in gunicorn.SAME.items():
        wanted = spelled.get(setting, set()) | {f"`--{setting.replace('_', '-')}`"}
        cells = [row[2] for name, row in table if name == option]
        assert setting == "wsgi_app" or any(word in cell for word in wanted for cell in cells), setting
    for name, option in uvicorn.SAME.items():
        cells = [row[3] for found, row in table if found == option]
        left_out = name in ("app", "timeout-worker-healthcheck")
        assert left_out or any(f"`--{name}`" in cell for cell in cells), name


def test_no_option_is_translated_to_one_that_never_was() -> None:
    """Those of TLS come with it; anything else must exist already."""
    later = {"certfile", "keyfile", "keyfile-password", "ca-certs", "ciphers"}
    targets = {*gunicorn.SAME.values(), *uvicorn.SAME.values()}
    assert targets - later - {*BY_NAME} == set()
