"""The listeners for operators: opened by the arbiter, answered by the monitor."""

from __future__ import annotations

from msgspec import Struct

from portway.config import Settings
from portway.config.address import UnixAddress
from portway.errors import BindError, shown
from portway.server.assignment import Shared
from portway.server.listeners import Listener, SocketFiles, open_listeners
from portway.server.logs import ErrorLog
from portway.server.messages import Channel

BACKLOG = 64


class Inspection:
    """What the monitor listens on.

    Attributes:
        admin: The listeners of `--admin`.
        control: The socket of `--control`, or None.
    """

    def __init__(self) -> None:
        self.admin: list[Listener] = []
        self.control: Listener | None = None

    def open(self, settings: Settings, log: ErrorLog) -> None:
        """Open what the settings ask for.

        A control socket that cannot be had is a line in the log: it is a convenience, and no reason not to
        serve.

        Raises:
            BindError: The admin address cannot be listened on.
        """
        inspect = settings.inspect
        if inspect.admin:
            self.admin = open_listeners((inspect.admin,), BACKLOG)
            for listener in self.admin:
                log.entry("info", f"status, metrics and health checks on {listener}")
        if inspect.control:
            self.control = _open_control(inspect.control, log)

    @property
    def wanted(self) -> bool:
        """Whether there is anything to answer."""
        return bool(self.admin or self.control)

    def listeners(self) -> list[Listener]:
        """Return all of them."""
        return [*self.admin, *([self.control] if self.control else [])]

    def close(self) -> None:
        """Stop listening, and remove the files of Unix sockets in the process that made them. Idempotent."""
        for listener in self.listeners():
            listener.close()


class MonitorAssignment(Struct, frozen=True):
    """What the monitor is handed.

    Attributes:
        shared: What the arbiter opened.
        inspection: The listeners that the monitor answers on.
        channel: Its end of the socket pair with the arbiter.
        arbiter_uid: The user that may give commands, beside root.
    """

    shared: Shared
    inspection: Inspection
    channel: Channel
    arbiter_uid: int


def _open_control(path: str, log: ErrorLog) -> Listener | None:
    try:
        # owner only, from the first moment
        return open_listeners((str(UnixAddress(path)),), BACKLOG, SocketFiles(mode=0o600))[0]
    except BindError as error:
        log.entry("warning", f"no control socket at {shown(path)}: {error}")
        return None
