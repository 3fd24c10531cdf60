"""Whether a function's code is still the one that an environment has loaded."""

from __future__ import annotations

import os
from pathlib import Path

_SKIPPED = frozenset(("__pycache__", "node_modules", "site-packages", "build", "dist"))
_MOST = 20_000


def version(root: Path) -> object:
    """Return a value that changes when a source file below a directory is changed, added or removed.

    Virtual environments and hidden directories are not looked into: installed packages do not change
    between two requests.
    """
    found: list[tuple[str, int, int]] = []
    for directory, names, files in os.walk(root):
        names[:] = [name for name in names if not _skipped(directory, name)]
        for file in files:
            if file.endswith((".py", ".toml", ".html", ".json", ".env")):
                path = os.path.join(directory, file)
                try:
                    about = os.stat(path)
                except OSError:
                    continue
                found.append((path, about.st_mtime_ns, about.st_size))
        if len(found) > _MOST:
            break
    return hash(tuple(sorted(found)))


def _skipped(directory: str, name: str) -> bool:
    return name.startswith(".") or name in _SKIPPED or os.path.exists(f"{directory}/{name}/pyvenv.cfg")
