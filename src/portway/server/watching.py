"""`--reload`: a process that watches files and tells the arbiter which changed.

A process of its own, because watchfiles has threads and the arbiter, which forks, must not. Changes within
some hundred milliseconds are one message. It ends with the arbiter.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
from collections.abc import Callable
from fnmatch import fnmatch

from portway.config import Settings
from portway.server.messages import Changed, Channel
from portway.server.signals import ignore

DEBOUNCE_MS = 400
STEP_MS = 50
"""Changes that follow each other within this belong together."""

DEVELOPING_STEP_MS = 10
"""The same in development: an editor writes a file at once, and a start that is out of date is given up."""

MAX_NAMED = 5

_NOT_FOR_WATCHERS = (signal.SIGINT, signal.SIGQUIT)


def run_watcher(
    channel: Channel, settings: Settings, files: tuple[str, ...], developing: bool = False
) -> int:
    """Watch until told to stop.

    Args:
        channel: To the arbiter.
        settings: The configuration.
        files: Files that count whatever they are called: the configuration, the environment file.
        developing: Whether it is more important to be quick.
    """
    import watchfiles  # late: an extra

    for number in _NOT_FOR_WATCHERS:
        signal.signal(number, ignore)
    channel.signal_on_input(True)  # SIGIO's default action ends this process with the arbiter
    directories = settings.reload.directories or (settings.app.chdir or ".",)
    places = {os.path.realpath(directory) for directory in directories}
    extra = [file for file in files if not any(_inside(file, place) for place in places)]
    seen = is_watched(settings, files)
    everything = watchfiles.DefaultFilter()
    for changes in watchfiles.watch(
        *sorted(places),
        *(os.path.dirname(file) for file in extra),
        watch_filter=lambda change, path: everything(change, path) and seen(path),
        debounce=DEBOUNCE_MS,
        step=DEVELOPING_STEP_MS if developing else STEP_MS,
        raise_interrupt=False,
    ):
        for _, path in changes:
            forget_bytecode(path)
        names = sorted({os.path.relpath(path) for _, path in changes})
        more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        channel.send(Changed(", ".join(names[:MAX_NAMED]) + more))
    return 0


def forget_bytecode(path: str) -> None:
    """Remove what Python has compiled of a file that changed.

    Python takes it for up to date while the file's size and the second of its change are the same: after two
    saves within a second it would run the first.
    """
    if path.endswith(".py"):
        with contextlib.suppress(OSError, NotImplementedError):
            os.unlink(importlib.util.cache_from_source(path))


def is_watched(settings: Settings, files: tuple[str, ...]) -> Callable[[str], bool]:
    """Return what tells whether a change of a file counts.

    Args:
        settings: The configuration.
        files: Absolute names that always count.
    """
    reload = settings.reload
    include = ("*.py", *reload.include)
    always = {os.path.realpath(file) for file in files}
    directories = reload.directories or (settings.app.chdir or ".",)
    places = [os.path.realpath(directory) for directory in directories]

    def watched(path: str) -> bool:
        name = os.path.basename(path)
        if path in always:
            return True
        if not any(_inside(path, place) for place in places):
            return False
        if any(fnmatch(name, glob) or fnmatch(path, glob) for glob in reload.exclude):
            return False
        return any(fnmatch(name, glob) or fnmatch(path, glob) for glob in include)

    return watched


def _inside(path: str, directory: str) -> bool:
    return os.path.realpath(path).startswith(directory.rstrip("/") + "/")
