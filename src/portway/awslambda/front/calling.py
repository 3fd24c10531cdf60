"""Calling a handler that may take too long.

Python cannot end a thread. So a call with a deadline runs on a thread beside the one that serves: when the
time is up the client gets its 504, and the handler keeps its own thread until it returns. So many of those
at once and no more: then new calls are refused until one has come back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_OVERDUE = 64
"""Handlers that may run on after their time is up; a thread and its stack each."""


class TookTooLong(Exception):
    """The call has not come back in time; it goes on."""


class TooManyOverdue(Exception):
    """Too many calls that did not come back in time are still under way."""


class _Job(Generic[T]):
    """One call. `over` is owned by the caller until it gives up, then by nobody."""

    def __init__(self, function: Callable[[], T]) -> None:
        self.function = function
        self.over = threading.Lock()
        self.over.acquire()
        self.result: T | None = None
        self.error: BaseException | None = None
        self.finished = False
        self.given_up = False


class _Runner:
    """A thread that runs one job after the other."""

    def __init__(self, free: Callable[[_Runner, _Job[object]], None]) -> None:
        self._free = free
        self._job: _Job[object] | None = None
        self._wanted = threading.Lock()
        self._wanted.acquire()
        threading.Thread(target=self._run, name="portway-handler", daemon=True).start()

    def give(self, job: _Job[object]) -> None:
        self._job = job
        self._wanted.release()

    def _run(self) -> None:
        while True:
            self._wanted.acquire()
            job, self._job = self._job, None
            assert job is not None
            try:
                job.result = job.function()
            except BaseException as error:  # a handler may raise anything, SystemExit too
                job.error = error
            self._free(self, job)
            job.over.release()
            del job


class Deadline:
    """Calls functions with a time limit. Any thread may call.

    Args:
        timeout_s: Seconds that a call may take.
        most_overdue: How many calls may be overdue at once.
    """

    def __init__(self, timeout_s: float, most_overdue: int = MOST_OVERDUE) -> None:
        self._timeout_s = timeout_s
        self._most_overdue = most_overdue
        self._lock = threading.Lock()
        self._idle: list[_Runner] = []
        self._overdue = 0

    @property
    def overdue(self) -> int:
        """How many calls are under way whose time is up."""
        return self._overdue

    def call(self, function: Callable[[], T]) -> T:
        """Return what `function` returns, or raise what it raises.

        Raises:
            TookTooLong: It has not come back in time. Its result, when there is one, is dropped.
            TooManyOverdue: It was not called.
        """
        job = _Job(function)
        with self._lock:
            if self._overdue >= self._most_overdue:
                raise TooManyOverdue
            runner = self._idle.pop() if self._idle else None
        if runner is None:
            runner = _Runner(self._free)
        runner.give(job)  # type: ignore[arg-type]  # a runner does not look at results
        if not job.over.acquire(timeout=self._timeout_s) and self._gives_up(job):
            raise TookTooLong
        if job.error is not None:
            raise job.error
        return job.result  # type: ignore[return-value]

    def _gives_up(self, job: _Job[T]) -> bool:
        """Leave a job to itself, unless it has come back just now."""
        with self._lock:
            if job.finished:
                return False
            job.given_up = True
            self._overdue += 1
            return True

    def _free(self, runner: _Runner, job: _Job[object]) -> None:
        with self._lock:
            job.finished = True
            if job.given_up:
                self._overdue -= 1
            self._idle.append(runner)
