"""A process that has imported what the application imports first, and forks the workers of each reload.

Most of a second start goes into installed packages, which have not changed. They are imported here once, in
the order and the state in which the application imported them (`imports`), and nothing of the project is.
Before each fork it is made sure that no installed file has changed since, and that the project has no module
of such a name. What cannot be shared makes it useless, and it says so: threads, open files, changed
variables.
"""

from __future__ import annotations

import builtins
import errno
import gc
import os
import signal
import socket
import sys
from collections.abc import Iterable
from importlib.machinery import all_suffixes
from pathlib import Path

from msgspec.structs import replace

from portway.apps.importing import put_root_first
from portway.apps.load import prepare
from portway.errors import EXIT_STARTUP
from portway.server.assignment import Assignment
from portway.server.developing.imports import State, Warmth, is_installed, own_modules
from portway.server.logs import describe_exception
from portway.server.messages import Failed, Preloaded, Step
from portway.server.preloading import NOT_FOR_PRELOADERS, take_orders
from portway.server.signals import ignore
from portway.server.worker import furnish, tell_when_aborted
from portway.server.workers import Work

_SUFFIXES = tuple(all_suffixes())


class NotShareable(Exception):
    """What was imported cannot be forked; the text says why."""


def run_warm(assignment: Assignment, orders: socket.socket, steps: tuple[Step, ...], work: Work) -> int:
    """Import, and fork workers until told to stop. Returns in each worker, too.

    Args:
        assignment: As for a worker, without a slot.
        orders: Where forks are asked for.
        steps: What the application imports first.
        work: What a worker does.

    Returns:
        The process's exit code.
    """
    tell_when_aborted(assignment)
    assignment.channel.signal_on_input(True)  # SIGIO's default action ends this process with the arbiter
    try:
        before = set(sys.modules)
        state = _import(assignment, steps)
        stamps = _Stamps(sys.modules.keys() - before, state.path)
    except (Exception, SystemExit) as error:
        assignment.channel.send(Failed(f"{type(error).__name__}: {error}", None, describe_exception(error)))
        return EXIT_STARTUP
    for number in NOT_FOR_PRELOADERS:
        signal.signal(number, ignore)
    gc.collect()
    gc.freeze()
    assignment.channel.send(Preloaded())
    worker = take_orders(assignment, orders, lambda: 0 if stamps.hold() else errno.ESTALE)
    if worker is None:
        os._exit(0)
    development = worker.shared.development
    assert development is not None
    development = replace(development, warmth=Warmth(state, steps))
    return work(replace(worker, shared=replace(worker.shared, development=development)))


def _import(assignment: Assignment, steps: Iterable[Step]) -> State:
    """Import as the application would; return the state it would do that in, with this process as it was."""
    before, modules, files = State.now(), set(sys.modules), _open_files()
    furnish(assignment)
    app = assignment.shared.settings.app
    target = prepare(app.app, app.chdir, app.env_file)
    put_root_first(target, Path.cwd())
    state = State.now()
    for step in steps:
        if step.installed:
            builtins.__import__(step.name, None, None, step.names, 0)
    if own := own_modules(sys.modules.keys() - modules):
        raise NotShareable(f"an installed package imports {own[0]} of the project")
    if State.now() != state:
        raise NotShareable("an installed package changes the environment as it is imported")
    if _threads() > 1:
        raise NotShareable("an installed package starts threads as it is imported")
    if _open_files() != files:
        raise NotShareable("an installed package opens files as it is imported")
    before.restore()
    return state


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


def _open_files() -> list[str]:
    return [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_open(fd)]


def _is_open(descriptor: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{descriptor}") and not os.readlink(
        f"/proc/self/fd/{descriptor}"
    ).startswith("/proc/")


class _Stamps:
    """What the imported files looked like, and which modules of the project would be found in their place.

    Args:
        names: The modules.
        places: Where they were looked for: `sys.path` at that time.
    """

    def __init__(self, names: Iterable[str], places: Iterable[str]) -> None:
        modules = [sys.modules[name] for name in names]
        found = {getattr(module, "__file__", None) for module in modules}
        self._files = {file: _stamp(file) for file in found if isinstance(file, str)}
        self._directories = {place: _stamp(place) for place in places if is_installed(place + "/x")}
        self._places = {*places} - {*self._directories}
        self._names = {name.partition(".")[0] for name in names} - {"portway"}

    def hold(self) -> bool:
        """Whether everything is as it was."""
        known = (*self._files.items(), *self._directories.items())
        if any(_stamp(path) != stamp for path, stamp in known):
            return False
        return not any(self._names & _importable(place) for place in self._places)


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _importable(directory: str) -> set[str]:
    """Return the modules and packages of a directory, those without `__init__.py` included."""
    try:
        with os.scandir(directory or ".") as entries:
            return {
                entry.name.partition(".")[0]
                for entry in entries
                if entry.name.endswith(_SUFFIXES) or ("." not in entry.name and entry.is_dir())
            }
    except OSError:
        return set()
