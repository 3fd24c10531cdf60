"""A real server with a site: its configuration is written into a folder, and it is started there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.client import Answer, Client
from tests.support.processes import Portway

APPS = Path(__file__).parent / "apps"
MOUNTED = APPS / "mounted.py"


def route(path: str, **keys: Any) -> str:
    """Return a [[routes]] table."""
    lines = [f"{key.replace('_', '-')} = {json.dumps(value)}" for key, value in keys.items()]
    return "\n".join(["[[routes]]", f"path = {json.dumps(path)}", *lines, ""])


def mounted(path: str, name: str) -> str:
    """Return a route to one of the applications of `apps/mounted.py`."""
    return route(path, app=f"{MOUNTED}:{name}")


def serve_site(folder: Path, *routes: str, app: str = "", args: tuple[str, ...] = (), **env: str) -> Portway:
    """Start a server.

    Args:
        folder: An empty one.
        routes: Its routes, see `route`.
        app: The name of its main application in `apps/mounted.py`.
        args: Further arguments of `portway serve`.
        env: Further environment variables.
    """
    main = f'app = "{MOUNTED}:{app}"\n' if app else ""
    (folder / "portway.toml").write_text(main + "\n".join(routes))
    return Portway("", *args, cwd=folder, env=env)


def told(answer: Answer) -> Any:
    """Return what an application of `apps/mounted.py` has said."""
    assert answer.status == 200, answer
    return json.loads(answer.body)


def ask(client: Client, path: str) -> Any:
    """Send a GET request; return what the application was told."""
    return told(client.get(path))
