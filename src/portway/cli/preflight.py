"""What can be checked before any process starts: a mistake found here costs no worker."""

from __future__ import annotations

import importlib.util
import sys

from portway.apps import parse_target
from portway.config import Loaded
from portway.errors import BadValue, UsageError


def preflight(loaded: Loaded) -> None:
    """Look at what the configuration needs.

    Raises:
        UsageError: No application is named.
        AppNotFound: APP has none of the known forms.
        BadValue: An event loop that is not installed, or `--reload` or `--max-memory` without what it needs.
    """
    app = loaded.settings.app
    if not app.app and not loaded.has_routes:
        raise UsageError(
            "no application is named", 'portway serve module:attr, or app = "module:attr" in portway.toml.'
        )
    if app.app:
        parse_target(app.app)
    if loaded.settings.process.loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
        origin = loaded.origins["loop"]
        raise BadValue(
            origin.name,
            "uvloop",
            "must be an event loop that is installed",
            source=origin.place,
            hint="pip install 'portway[uvloop]', or leave it out.",
        )
    if loaded.settings.recycle.memory and sys.platform != "linux":
        origin = loaded.origins["max-memory"]
        raise BadValue(
            origin.name,
            loaded.settings.recycle.memory,
            "needs Linux, where the memory of a worker can be measured",
            source=origin.place,
        )
    if loaded.settings.reload.on_change and importlib.util.find_spec("watchfiles") is None:
        origin = loaded.origins["reload"]
        raise BadValue(
            origin.name,
            True,
            "needs watchfiles, which is not installed",
            source=origin.place,
            hint="pip install 'portway[dev]', or leave it out.",
        )
