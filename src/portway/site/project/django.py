"""A Django project's settings about files: as Django itself has them, or else as the source says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from portway.site.project.literals import Literals
from portway.site.project.source import read_module
from portway.site.project.statics import StaticFolder

NAMES = ("STATIC_URL", "STATIC_ROOT", "MEDIA_URL", "MEDIA_ROOT", "INSTALLED_APPS")
TIMEOUT_S = 20.0

# The settings may print; the answer is the last line, behind a mark.
_ASK = """
import json, sys
sys.path.insert(0, "")
from django.conf import settings
values = {name: getattr(settings, name, None) for name in %r}
known = {name: value if isinstance(value, (list, tuple)) or value is None else str(value)
         for name, value in values.items()}
print("\\nportway-settings:" + json.dumps(known, default=str))
"""
_MARK = "portway-settings:"


def django_folders(settings: str, folder: Path) -> tuple[list[StaticFolder], list[str]]:
    """Return the folders of a Django project, and what there is to say about them.

    Args:
        settings: The name of its settings module.
        folder: The folder of its manage.py.
    """
    values = _asked(settings, folder)
    how = f"{settings}, as Django reads it"
    if values is None:
        values, how = _read(settings, folder), f"{settings}, as its source says"
    found, notes = [], []
    static_url, media_url = _url(values.get("STATIC_URL")), _url(values.get("MEDIA_URL"))
    if static_url and values.get("STATIC_ROOT"):
        root = _absolute(values["STATIC_ROOT"], folder)
        found.append(StaticFolder(static_url, root, f"STATIC_URL and STATIC_ROOT of {how}", production=True))
    elif static_url:
        notes.append(
            "STATIC_ROOT is not set. Production needs it, `manage.py collectstatic`, and a route as this:"
        )
    if media_url and values.get("MEDIA_ROOT"):
        root = _absolute(values["MEDIA_ROOT"], folder)
        found.append(StaticFolder(media_url, root, f"MEDIA_URL and MEDIA_ROOT of {how}"))
    return found, notes


def _asked(settings: str, folder: Path) -> dict[str, Any] | None:
    """Return what Django says, in a process of its own, or None when it says nothing."""
    environ = {**os.environ, "DJANGO_SETTINGS_MODULE": settings}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ASK % (NAMES,)],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = [line for line in done.stdout.splitlines() if line.startswith(_MARK)]
    if done.returncode or not lines:
        return None
    answer: dict[str, Any] = json.loads(lines[-1].removeprefix(_MARK))
    return answer


def _read(settings: str, folder: Path) -> dict[str, Any]:
    base = folder.joinpath(*settings.split("."))
    module = read_module(base.with_suffix(".py")) or read_module(base / "__init__.py")
    return Literals(module, folder).names if module else {}


def _url(value: object) -> str:
    """Return a path that begins and ends with a slash, "" when it is none: another server's, or nothing."""
    text = str(value or "")
    if not text or "//" in text or ":" in text:
        return ""
    return "/" + text.strip("/") + "/" if text.strip("/") else ""


def _absolute(place: object, folder: Path) -> Path:
    return Path(os.path.normpath(folder / str(place)))
