"""Opening and closing what the arbiter holds for all processes: logs, sockets, pid file, shared memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from msgspec.structs import replace

from portway.config import Settings, UnixAddress, parse_address
from portway.config.access_format import line_format
from portway.errors import BindError
from portway.server.activation import Passed, passed_sockets
from portway.server.assignment import Shared
from portway.server.inspection import Inspection
from portway.server.invocation import Configuration
from portway.server.listeners import Listener, SocketFiles, open_listeners, remove_stale
from portway.server.listening import Listening, asked_for, socket_files
from portway.server.logs import AccessLog, ErrorLog
from portway.server.pidfile import PidFile
from portway.server.privileges import Identity, identity
from portway.server.processors import bounds
from portway.server.resources import SPARE, occupy_standard_streams, raise_descriptor_limit
from portway.server.slots import Slots, adopt_neighbour, slots_for
from portway.server.upgrade import Inheritance

if TYPE_CHECKING:
    from portway.server.encryption import Encryption


class Opened:
    """What the arbiter owns. `close` is for the arbiter, `forget` for its forked children."""

    def __init__(
        self, shared: Shared, listening: Listening, pid_file: PidFile | None, inspection: Inspection
    ) -> None:
        self.shared = listening.number(shared)
        self.listening = listening
        self.inspection = inspection
        self._pid_file = pid_file

    def take_over(self, inherited: Iterable[str]) -> None:
        """Take what is left of an older arbiter that is gone: the name of the pid file, the admin listener.

        Args:
            inherited: The addresses that it listened on. Files of sockets that this one has no use for go.
        """
        for text in set(inherited) - self.listening.addresses:
            address = parse_address(text)
            if isinstance(address, UnixAddress) and not address.abstract:
                with contextlib.suppress(OSError):
                    remove_stale(address.path)
        try:
            self.inspection.open(self.shared.settings, self.shared.log)
        except BindError as error:
            self.shared.log.entry("error", f"no admin listener: {error}")
        name = self.shared.settings.process.pid
        if self._pid_file and name:
            try:
                self._pid_file.rename(name)
            except OSError as error:
                self.shared.log.entry("error", f"cannot rename the pid file: {error.strerror}")

    def forget(self, keeps: Sequence[Listener]) -> None:
        """Close what only the arbiter may keep, and all listeners but those of the child."""
        self.listening.forget(keeps)
        if self._pid_file:
            self._pid_file.forget()

    def close(self) -> None:
        """Close everything and remove the files that stand for a running server. Idempotent."""
        self.listening.close()
        self.inspection.close()
        self.shared.slots.close()
        if self._pid_file:
            self._pid_file.remove()


def open_shared(configuration: Configuration, inheritance: Inheritance | None = None) -> Opened:
    """Open everything that the settings ask for, or nothing.

    Args:
        configuration: What the server is told.
        inheritance: What an older arbiter that still runs left to this one.

    The order is that of the least regret: what only reads comes first, sockets before the pid file, so
    that a second start on the same address fails without touching the first one's files.

    Raises:
        PortwayError: Something cannot be had; what was opened before it is closed again.
    """
    settings = configuration.settings
    occupy_standard_streams()
    passed = passed_sockets(os.environ, os.getpid())
    user = identity(settings.process.user, settings.process.group)
    files = socket_files(settings, user)
    if settings.process.umask is not None:
        os.umask(settings.process.umask)
    log = ErrorLog(settings.log.errors, settings.log.level, user)
    access = open_access_log(settings, user)
    encryption = _encryption(settings, log)
    if passed:
        log.entry("info", f"systemd passed {len(passed)} {'socket' if len(passed) == 1 else 'sockets'}")
    with ExitStack() as undo:
        inherited = inheritance or Inheritance()
        count = slots_for(bounds(settings.process.workers)[1])
        _raise_limit(settings, count, log)
        slots = Slots(count, adopt_neighbour(inherited.neighbour) if inherited.neighbour else None)
        undo.callback(slots.close)
        listeners = listeners_of(settings, files, inherited.descriptors, passed)
        for listener in listeners:
            undo.callback(listener.close)
        inspection = Inspection()
        undo.callback(inspection.close)
        if not inherited.parent:  # else the old arbiter has the same, until it is gone
            inspection.open(settings, log)
        pid_file = _open_pid_file(settings.process.pid, inherited)
        undo.pop_all()
    shared = Shared(settings, log, access, user, listeners, slots, encryption, configuration.site)
    shared = replace(shared, environment=configuration.environment)
    return Opened(shared, Listening(shared, passed, inherited), pid_file, inspection)


def open_access_log(settings: Settings, user: Identity | None) -> AccessLog | None:
    """Return the access log that the settings ask for, or None when it is off."""
    if settings.log.access == "off":
        return None
    form = line_format(settings.log.access_format, with_id=bool(settings.http.request_id))
    return AccessLog(settings.log.access, form, settings.log.access_exclude, user)


def _open_pid_file(name: str, inherited: Inheritance) -> PidFile | None:
    if not name:
        return None
    return PidFile(f"{name}.2" if inherited.parent else name)


def listeners_of(
    settings: Settings,
    files: SocketFiles = SocketFiles(),  # noqa: B008 - frozen
    inherited: Mapping[str, list[int]] | None = None,
    passed: Sequence[Passed] = (),
) -> list[Listener]:
    """Listen on every address that the settings name, for the application and beside it, or on none.

    Args:
        settings: The configuration.
        files: How the files of Unix sockets are made.
        inherited: See `open_listeners`.
        passed: See `open_listeners`.

    Raises:
        BindError: One of them cannot be listened on.
    """
    addresses, roles = zip(*asked_for(settings), strict=True)
    return open_listeners(addresses, settings.listen.backlog, files, inherited, passed, roles)


def _encryption(settings: Settings, log: ErrorLog) -> Encryption | None:
    if not settings.tls.certfile:
        return None
    from portway.server.encryption import Encryption  # late: without a certificate nobody needs `ssl`

    return Encryption(settings.tls, log)


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
