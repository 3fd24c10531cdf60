"""Two engines in one process, for WSGI and ASGI side by side."""

import socket
from collections.abc import Mapping

from portway.engine.base import Base

class Transferor(Base):
    def pair(self, other: Transferor, targets: Mapping[int, socket.socket], /) -> None:
        """Let another engine of this process answer what is elsewhere. Neither has started yet.

        Args:
            other: The companion. It accepts nothing itself; this engine drains and stops it.
            targets: As for `add_handover`: where it gives its connections to when it drains.
        """
