"""The servers that run in this process: ended with it, and let go of in its forked children."""

from __future__ import annotations

import atexit
import os
from typing import Protocol


class Server(Protocol):
    """What is kept."""

    def stop(self) -> None:
        """End it."""

    def forked(self) -> None:
        """Let go of it, in a child."""


_servers: set[Server] = set()
_watched: list[bool] = []


def enter(server: Server) -> None:
    """Take note of a server that starts."""
    if not _watched:
        _watched.append(True)
        os.register_at_fork(after_in_child=_in_child)
        atexit.register(_at_exit)
    _servers.add(server)


def leave(server: Server) -> None:
    """Take note that it has ended. Idempotent."""
    _servers.discard(server)


def _in_child() -> None:
    for server in list(_servers):
        server.forked()
    _servers.clear()


def _at_exit() -> None:
    """A program that ends without a word still answers what it was asked, and shuts its applications down."""
    for server in list(_servers):
        server.stop()
