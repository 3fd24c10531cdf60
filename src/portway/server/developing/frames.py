"""A traceback as HTML, from its text: where the project's own code is on the way, the source around it.

Whatever is in it is escaped. A text may name any file, since an exception's message can say anything; source
is shown of the project's own Python files only.
"""

from __future__ import annotations

import html
import linecache
import os
import re
import sysconfig
from functools import cache

AROUND = 4
"""Lines of source that are shown before and after the one in question."""

_FRAME = re.compile(r'(?P<mark>[\s|+]*)File "(?P<file>[^"\n]+)", line (?P<line>[0-9]{1,7})(?P<rest>.*)')


def frames(details: str, folder: str) -> str:
    """Return a traceback as HTML, with the source as it is now.

    Args:
        details: The traceback.
        folder: The project's folder.
    """
    parts: list[str] = []
    inside = False
    for line in details.splitlines():
        match = _FRAME.fullmatch(line)
        if match:
            parts.append(_frame(match["file"], int(match["line"]), match["rest"], folder))
            inside = True
        elif inside and line.startswith("    "):
            continue  # the source line and its marks: the file itself has more
        elif line.strip():
            inside = False
            parts.append(f"<p class=said>{html.escape(line)}</p>")
    return "".join(parts)


def _frame(file: str, number: int, rest: str, folder: str) -> str:
    own = is_own(file, folder)
    name = os.path.relpath(file, folder) if own else file
    what = html.escape(f"{name}, line {number}{rest}")
    if not own:
        return f"<p class=frame>{what}</p>"
    linecache.checkcache(file)
    lines = linecache.getlines(file)
    first = max(1, number - AROUND)
    rows = "".join(
        f"<li value={at}{' class=here' if at == number else ''}>{html.escape(line.rstrip())}\n</li>"
        for at, line in enumerate(lines[first - 1 : number + AROUND], first)
    )
    return f"<section><p class=frame>{what}</p><ol>{rows}</ol></section>"


def is_own(file: str, folder: str) -> bool:
    """Whether a file is source of the project: Python, in its folder, and not of an installed package."""
    path = os.path.realpath(file)
    inside = path.startswith(os.path.realpath(folder).rstrip("/") + "/")
    installed = any(path.startswith(place + "/") for place in installed_places())
    return inside and not installed and path.endswith(".py") and os.path.isfile(path)


@cache
def installed_places() -> tuple[str, ...]:
    """Return the directories of the standard library and of installed packages."""
    paths = sysconfig.get_paths()
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple({os.path.realpath(paths[name]) for name in names if name in paths})
