"""Where connections come from: listeners, and other workers."""

import socket
from collections.abc import Mapping

from portway.engine.base import Base

class Acceptor(Base):
    """Listeners, hand-over and draining. Not used itself: see `WSGIEngine` and `ASGIEngine`."""

    def add_listener(self, sock: socket.socket, /) -> None:
        """Accept from a listening socket, TCP or Unix. Call it before the engine runs.

        Args:
            sock: Made non-blocking here. The engine keeps the object, and never closes it.
        """

    def add_handover(self, sock: socket.socket, targets: Mapping[int, socket.socket], /) -> None:
        """Exchange accepted connections with other workers. Call it once, before the engine runs.

        Args:
            sock: This worker's end of its SOCK_SEQPACKET pair; connections arrive on it as SCM_RIGHTS.
            targets: Slot index to the write end of that slot's pair.
        """
