"""What the two kinds of worker do alike with their engines."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Protocol

from portway.server.assignment import Assignment


class Engine(Protocol):
    """What both engines take connections from."""

    def add_listener(self, sock: socket.socket, /) -> None:
        """Accept from a listening socket."""

    def add_handover(self, sock: socket.socket, targets: Mapping[int, socket.socket], /) -> None:
        """Take and give connections through hand-over queues."""


def connect(engine: Engine, assignment: Assignment) -> None:
    """Give an engine everything that connections come from."""
    for listener in assignment.shared.listeners:
        engine.add_listener(listener.sock)
    slots = assignment.shared.slots
    engine.add_handover(slots.queue(assignment.slot), slots.others(assignment.slot))
