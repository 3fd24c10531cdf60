"""A clean answer before Lambda ends an invocation by force.

One daemon thread watches one number. Arming it is a store, not a wake-up: the thread sleeps until the
deadline it last saw and looks again. So it wakes about once per timeout of the function while there
is work and never while there is none, and an invocation pays a fraction of a microsecond. When time is
up it has the stack logged, then interrupts the application: a coroutine that waits is cancelled, and
code that runs or blocks in the main thread gets `DeadlineExceeded` raised into it by a signal (for
which a system call returns early).
"""

from __future__ import annotations

import signal
import sys
import threading
import time

from .errors import DeadlineExceeded
from .logs import error
from .threads import start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Any

    from .loop import Loop


_now = time.monotonic
# A real-time signal: nobody's, while SIGALRM is the application's own (and its tests').
_SIGNAL = signal.SIGRTMIN + 5 if sys.platform == "linux" else signal.SIGVTALRM


class Watchdog:
    """Interrupts an application whose invocation is about to end.

    `arm` and `disarm` are called by the thread that made the watchdog, the watch runs in its own.

    Attributes:
        deadline: When the armed invocation ends, by the monotonic clock; 0 when none is armed.
        fired: Whether the armed deadline was reached; reset by `disarm`.
        stuck: Called from the watchdog's thread when the interruption had no effect, or None.
    """

    def __init__(self, margin_s: float, loop: Loop | None) -> None:
        """Make a watchdog.

        Args:
            margin_s: Most seconds before the deadline at which it interrupts (a tenth of the time that the
                invocation had, when that is less).
            loop: The loop whose task is to be cancelled first, or None.
        """
        self._margin = margin_s
        self._loop = loop
        self._ident = threading.get_ident()
        self._main = threading.current_thread() is threading.main_thread()
        self.deadline = 0.0
        self._latest = 0.0
        self._span = 0.0
        self._looks_at = 0.0
        self._closed = False
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self.fired = False
        self.stuck: Callable[[], None] | None = None

    def start(self) -> None:
        """Start watching. The signal handler goes in only where nobody else has one."""
        if self._main and signal.getsignal(_SIGNAL) is signal.SIG_DFL:
            signal.signal(_SIGNAL, self._interrupted)
        else:
            self._main = False
        self._thread = start(self._watch, "portway-deadline")

    def arm(self, remaining_ms: float) -> None:
        """Watch an invocation that has `remaining_ms` milliseconds left."""
        self._span = span = remaining_ms / 1000
        self.deadline = self._latest = deadline = _now() + span
        if self._looks_at > deadline or not self._looks_at:
            if self._thread is None:
                self.start()
            self._wake.set()

    def disarm(self) -> bool:
        """Stop watching the invocation, and tell whether its time was up."""
        self.deadline = 0.0
        if not self.fired:
            return False
        self.fired = False
        self._wake.set()
        return True

    def close(self) -> None:
        """End the watch and give the signal back."""
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            if self._main:
                signal.signal(_SIGNAL, signal.SIG_DFL)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        # The answer may have been finished between the alarm and this handler.
        if self.deadline and self.fired:
            raise DeadlineExceeded

    def _room(self) -> float:
        """Return how long before the deadline to interrupt."""
        return min(self._margin, self._span / 10)

    def _watch(self) -> None:
        seen = 0.0
        while not self._closed:
            deadline, latest = self.deadline, self._latest
            due: float | None = None
            if deadline:
                due = deadline - self._room()
            elif latest != seen:
                # Between two invocations: the next one cannot be due before this.
                due = _now() + self._span - self._room()
            seen = latest
            # What is due no sooner needs no wake-up: a function's invocations all have the same time.
            self._looks_at = 0.0 if due is None else due + self._room()
            if self._latest != latest:  # armed in between, by a thread that saw the old `_looks_at`
                continue
            self._wake.wait(None if due is None else max(0.0, due - _now()))
            self._wake.clear()
            deadline = self.deadline
            if deadline and _now() >= deadline - self._room():
                self._fire(deadline)

    def _fire(self, deadline: float) -> None:
        """Interrupt the invocation with this deadline, harder each time; return when it has ended."""
        self.fired = True
        self._log_stack()
        steps = [self._alarm, self._give_up]
        task = self._loop.task if self._loop is not None else None
        if task is not None and self._loop is not None:
            self._loop.loop.call_soon_threadsafe(task.cancel)
        elif self._main:
            steps = [self._give_up]
            self._alarm()
        for step in steps:
            if self._ended_within(deadline, self._room() / 3):
                return
            step()
        while not self._ended_within(deadline, 60.0):
            pass

    def _ended_within(self, deadline: float, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while self.deadline == deadline:
            left = until - time.monotonic()
            if left <= 0:
                return False
            self._wake.wait(left)
            self._wake.clear()
        return True

    def _alarm(self) -> None:
        if self._main:
            signal.pthread_kill(self._ident, _SIGNAL)

    def _give_up(self) -> None:
        if self.stuck is not None:
            self.stuck()

    def _log_stack(self) -> None:
        from traceback import format_stack

        frame = sys._current_frames().get(self._ident)
        task = self._loop.task if self._loop is not None else None
        if task is not None and (frame is None or frame.f_code.co_filename.endswith("selectors.py")):
            stack = "".join(line for found in awaiting(task.get_coro()) for line in format_stack(found, 1))
        else:
            stack = "".join(format_stack(frame))
        error(f"the invocation is about to time out; the application is at\n{stack}", exc_info=False)


def awaiting(coroutine: Any) -> Iterator[FrameType]:
    """Yield the frames of a suspended coroutine, outermost first: what it awaits, and what that awaits."""
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is None:
            return
        yield frame
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
