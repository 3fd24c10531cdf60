"""Opening and closing what the arbiter holds for all processes: logs, sockets, pid file, shared memory."""

from __future__ import annotations

import os
from contextlib import ExitStack

from portway.config import Settings
from portway.server.assignment import Shared
from portway.server.listeners import Listener, open_listeners
from portway.server.logs import AccessLog, ErrorLog
from portway.server.pidfile import PidFile
from portway.server.privileges import Identity, identity
from portway.server.resources import SPARE, occupy_standard_streams, raise_descriptor_limit
from portway.server.slots import Slots, slots_for


class Opened:
    """What the arbiter owns. `close` is for the arbiter, `forget` for its forked children."""

    def __init__(self, shared: Shared, pid_file: PidFile | None) -> None:
        self.shared = shared
        self._pid_file = pid_file

    def close_listeners(self) -> None:
        """Stop listening in this process, and remove the files of Unix sockets. Idempotent."""
        for listener in self.shared.listeners:
            listener.close()

    def forget(self) -> None:
        """Close what only the arbiter may keep."""
        if self._pid_file:
            self._pid_file.forget()

    def close(self) -> None:
        """Close everything and remove the files that stand for a running server. Idempotent."""
        self.close_listeners()
        self.shared.slots.close()
        if self._pid_file:
            self._pid_file.remove()


def open_shared(settings: Settings) -> Opened:
    """Open everything that the settings ask for, or nothing.

    The order is that of the least regret: what only reads comes first, sockets before the pid file, so
    that a second start on the same address fails without touching the first one's files.

    Raises:
        PortwayError: Something cannot be had; what was opened before it is closed again.
    """
    occupy_standard_streams()
    user = identity(settings.process.user, settings.process.group)
    if settings.process.umask is not None:
        os.umask(settings.process.umask)
    log = ErrorLog(settings.log.errors, settings.log.level, user)
    access = _open_access_log(settings, user)
    with ExitStack() as undo:
        count = slots_for(settings.process.workers)
        _raise_limit(settings, count, log)
        slots = Slots(count)
        undo.callback(slots.close)
        listeners = _open_listeners(settings, user, undo)
        pid_file = PidFile(settings.process.pid) if settings.process.pid else None
        undo.pop_all()
    return Opened(Shared(settings, log, access, user, listeners, slots), pid_file)


def _open_access_log(settings: Settings, user: Identity | None) -> AccessLog | None:
    if settings.log.access == "off":
        return None
    return AccessLog(settings.log.access, settings.log.access_format, user)


def _open_listeners(settings: Settings, user: Identity | None, undo: ExitStack) -> list[Listener]:
    listeners = open_listeners(settings.listen.bind, settings.listen.backlog, user)
    for listener in listeners:
        undo.callback(listener.close)
    return listeners


def _raise_limit(settings: Settings, slots: int, log: ErrorLog) -> None:
    needed = settings.limits.connections + 2 * slots + SPARE
    limit = raise_descriptor_limit(needed)
    if limit < needed:
        reachable = max(0, limit - 2 * slots - SPARE)
        log.entry(
            "warning",
            f"a process may open {limit} files here: about {reachable} connections per worker, not the "
            f"{settings.limits.connections} of --limit-connections (raise ulimit -n)",
        )
