"""What a worker does about requests over their deadline (`--timeout`), beside what its engine does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portway.server.assignment import Assignment
from portway.server.messages import Stuck
from portway.server.stack_teller import ASK

if TYPE_CHECKING:
    from portway.engine.base import Base

NUDGE = ASK
"""Ends a system call in which the main thread waits, so that the interpreter looks at what it is to raise
there. It needs a handler that is Python's, which every worker has for this one. By default the system ignores
it, and hardly any application uses it."""


def attach(engine: Base, assignment: Assignment) -> None:
    """Connect an engine that has not started. Any thread may call it."""
    if assignment.shared.settings.timeouts.request:
        engine.nudge = NUDGE
        engine.on_stuck = _Stuck(assignment).tell


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
