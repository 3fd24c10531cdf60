"""The tables of a configuration as `--print-config` shows them: what the stage and the file add up to.

References to secrets stand as they are written, and what an environment file holds is not shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from portway.config.load import Loaded
from portway.config.stages import env_files_of
from portway.site.reading import Table, merged_tables


def show_tables(loaded: Loaded) -> str:
    """Return TOML text to stand behind the options, or "" where there is nothing of a site."""
    if loaded.file is None:
        return ""
    file = loaded.file
    lines: list[str] = []
    if names := env_files_of(file.layers, file.path):
        lines += ["", f"env-files = {_toml(names)}"]
    written = [one for one in loaded.variables if not one.file]
    if written:
        lines += ["", "[env]", *(f"{_key(one.name)} = {_toml(one.text)}" for one in written)]
    for table in merged_tables(file.layers, file.path, file.directory):
        lines += ["", *_route(table)]
    if stage := loaded.settings.app.stage:
        lines += ["", f"[stages.{_key(stage)}]  # all of it stands above"]
    return "\n".join([*lines, ""]) if lines else ""


def _route(table: Table) -> Iterator[str]:
    yield f"[[routes]]  # {table.part}"
    for key, value in table.values.items():
        yield f"{_key(key)} = {_toml(value)}"


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() and name.isascii() else json.dumps(name)


def _toml(value: object) -> str:
    """Return the spelling of a value that a TOML file held."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            # JSON's escapes are TOML's; DEL is the one character that only JSON leaves alone.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list() | tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case Mapping():
            return f"{{ {', '.join(f'{_key(key)} = {_toml(one)}' for key, one in value.items())} }}"
        case _:
            return str(value)
