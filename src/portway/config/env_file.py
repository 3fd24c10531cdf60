"""Environment files: `NAME=value` lines, as `.env` files have them.

Known forms: comments, blank lines, `export NAME=value`, 'single quotes' (nothing inside is special),
"double quotes" (with \\n, \\t, \\r, \\", \\\\ and \\$), and quoted values over several lines. An
unquoted value ends at the end of its line or at a space before #. `$NAME` is not expanded: a
password that contains a dollar sign stays as it is. Anything else is an error with its line.
"""

from __future__ import annotations

import re
from pathlib import Path

from portway.config.files import read_text
from portway.errors import ConfigFileError

_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_NAME = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*", re.ASCII)
_SINGLE = re.compile(r"'([^']*)'[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"[ \t]*(?:#[^\n]*)?(?:\n|\Z)', re.DOTALL)
_BARE = re.compile(r"([^\n]*)(?:\n|\Z)")
_COMMENT = re.compile(r"(?:^|[ \t])#.*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


def read_env_file(name: str, directory: Path = Path(), start: str = "working directory") -> dict[str, str]:
    """Return the variables of an environment file.

    Args:
        name: The file; a relative one starts at `directory`.
        directory: Where relative names start.
        start: The same in words, for messages.

    Raises:
        ConfigFileError: It cannot be read, or a line has none of the known forms.
    """
    return parse_env(read_text(directory / name, name, start), name)


def parse_env(text: str, shown_as: str) -> dict[str, str]:
    """Return the variables that the text of an environment file sets; a later one wins."""
    text = text.replace("\r\n", "\n")
    variables: dict[str, str] = {}
    position = 0
    while position < len(text):
        if blank := _BLANK.match(text, position):
            position = blank.end()
            continue
        entry = _entry(text, position)
        if entry is None or "\0" in entry[1]:
            line = text.count("\n", 0, position) + 1
            raise ConfigFileError(shown_as, f"line {line} is not NAME=value", "quote the value with ' or \".")
        name, variables[name], position = entry
    return variables


def _entry(text: str, position: int) -> tuple[str, str, int] | None:
    """Return the name, the value and the end of the entry at `position`, or None for no known form."""
    name = _NAME.match(text, position)
    if not name:
        return None
    form = {"'": _SINGLE, '"': _DOUBLE}.get(text[name.end() : name.end() + 1], _BARE)
    value = form.match(text, name.end())
    if not value:
        return None
    if form is _DOUBLE:
        return name[1], _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), value[1]), value.end()
    return name[1], value[1] if form is _SINGLE else _COMMENT.sub("", value[1]).strip(), value.end()
