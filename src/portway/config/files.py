"""Finding and reading the configuration file.

`--config` (or PORTWAY_CONFIG) names it. Otherwise it is `portway.toml`, or `pyproject.toml` with a
`[tool.portway]` table, in the working directory itself: parents are not searched, so that what is
served never depends on a file that somebody else put above.
"""

from __future__ import annotations

import os
from pathlib import Path

from portway.config.load import ConfigFile
from portway.errors import BadValue, ConfigFileError, Conflict, plain

OWN_NAME = "portway.toml"
PROJECT_NAME = "pyproject.toml"
_WHERE = "look at its name and permissions; a relative name starts at the {start}."


def read_named(name: str, cwd: Path) -> ConfigFile:
    """Return the file that `--config` names; a `pyproject.toml` must have the table.

    Raises:
        ConfigFileError: It cannot be read, is not TOML, or has no [tool.portway].
    """
    found = _read(cwd / name, name)
    if found is None:
        raise ConfigFileError(name, "it has no [tool.portway] table", "add one, or name another file.")
    return found


def discover(directory: Path) -> ConfigFile | None:
    """Return the configuration file of a directory, or None when it has none.

    Raises:
        ConfigFileError: A file is there, but cannot be read or is not TOML.
        Conflict: Both files configure Portway, so one of them would be ignored.
    """
    found = [
        file
        for name in (OWN_NAME, PROJECT_NAME)
        if (directory / name).is_file() and (file := _read(directory / name, name))
    ]
    if len(found) > 1:
        hint = "keep one of them, or name one with --config."
        raise Conflict(OWN_NAME, f"[tool.portway] in {PROJECT_NAME}", "both configure the server", hint)
    return found[0] if found else None


def _read(path: Path, shown_as: str) -> ConfigFile | None:
    document = parse_toml(read_text(path, shown_as), shown_as)
    if path.name != PROJECT_NAME:
        return ConfigFile(shown_as, document, os.path.dirname(os.path.abspath(path)))
    tool = document.get("tool", {})
    table = tool.get("portway") if isinstance(tool, dict) else None
    if table is None:
        return None
    if not isinstance(table, dict):
        hint = "write [tool.portway] on a line of its own, and the options below."
        raise BadValue("tool.portway", table, "must be a table", source=f"in {plain(shown_as)}", hint=hint)
    return ConfigFile(shown_as, table, os.path.dirname(os.path.abspath(path)))


def parse_toml(text: str, shown_as: str) -> dict[str, object]:
    """Return a TOML document, or raise ConfigFileError with the line that is wrong."""
    import tomllib  # late: many servers have no file

    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        problem = (
            str(error)
            if isinstance(error, tomllib.TOMLDecodeError)
            else "it is nested or sized beyond reason"
        )
        hint = 'an assignment is NAME = VALUE, and text needs quotes: app = "site:app".'
        raise ConfigFileError(shown_as, f"not TOML: {problem[:1].lower()}{problem[1:]}", hint) from None


def read_text(path: Path, shown_as: str, start: str = "working directory") -> str:
    """Return a file's text, or raise ConfigFileError with the reason.

    Args:
        path: The file.
        shown_as: Its name in messages.
        start: Where relative names start, for messages.
    """
    hint = _WHERE.format(start=start)
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigFileError(shown_as, f"not UTF-8 at byte {error.start}", "save it as UTF-8.") from None
    except OSError as error:
        raise ConfigFileError(shown_as, (error.strerror or str(error)).lower(), hint) from None
    except ValueError:
        raise ConfigFileError(shown_as, "its name holds a NUL byte", hint) from None
