"""What a worker does about requests over their deadline (`--timeout`), beside what its engine does."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

from portway.server.assignment import Assignment
from portway.server.messages import Stuck
from portway.server.signals import ignore

if TYPE_CHECKING:
    from portway.engine.base import Base

NUDGE = signal.SIGURG
"""Ends a system call in which the main thread waits, so that the interpreter looks at what it is to raise
there. It needs a handler that is Python's. By default the system ignores this signal, and hardly any
application uses it."""


def prepare(engine: Base, assignment: Assignment) -> None:
    """Connect an engine that has not started. Call it from the main thread."""
    if not assignment.shared.settings.timeouts.request:
        return
    signal.signal(NUDGE, ignore)
    attach(engine, assignment)


def attach(engine: Base, assignment: Assignment) -> None:
    """Connect an engine that has not started, one beside the main thread's. Any thread may call it."""
    engine.nudge = _nudge
    engine.on_stuck = _Stuck(assignment).tell


def _nudge(ident: int) -> None:
    # Other threads wait on: the interpreter handles signals in the main one only.
    if ident == threading.main_thread().ident:
        signal.pthread_kill(ident, NUDGE)


class _Stuck:
    """Asks the arbiter, once, for another worker in place of this one. Used by the engine's watchdog."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._told = False

    def tell(self, request: str, seconds: float) -> None:
        text = f"{request} cannot be interrupted: it goes on after {seconds:.1f} s"
        self._assignment.shared.log.entry("error", text)
        if not self._told:
            self._told = True
            self._assignment.channel.send(Stuck(request))
