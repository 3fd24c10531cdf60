"""`--reload`: a process that watches files and tells the arbiter which changed.

A process of its own, because watchfiles has threads and the arbiter, which forks, must not. Changes within
some hundred milliseconds are one message. It ends with the arbiter.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from fnmatch import fnmatch

from portway.config import Settings
from portway.server.messages import Changed, Channel
from portway.server.signals import ignore

DEBOUNCE_MS = 400
MAX_NAMED = 5

_NOT_FOR_WATCHERS = (signal.SIGINT, signal.SIGQUIT)


def run_watcher(channel: Channel, settings: Settings, files: tuple[str, ...]) -> int:
    """Watch until told to stop.

    Args:
        channel: To the arbiter.
        settings: The configuration.
        files: Files that count whatever they are called: the configuration, the environment file.
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
        step=50,
        raise_interrupt=False,
    ):
        names = sorted({os.path.relpath(path) for _, path in changes})
        more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        channel.send(Changed(", ".join(names[:MAX_NAMED]) + more))
    return 0


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
