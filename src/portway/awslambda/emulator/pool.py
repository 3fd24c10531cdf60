"""A function's environments: started on demand up to a limit, each with one invocation at a time, or as
many as it takes.

The one that was free last is used first, as Lambda does. When the code has changed, the environments
that ran the old one are replaced as they come free.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from .environment import Environment, Log
from .function import Function
from .invocation import Invocation
from .sources import version

_FINISHING_S = 0.2


class Throttled(Exception):
    """Every environment is busy, and there may be no more of them."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"all {limit} environments are busy")


class Pool:
    """The environments of one function. Any thread may call; `close` last.

    Args:
        function: The function.
        log: Takes Lambda's own lines of the function's log.
        limit: Most environments: the function's concurrency.
        reload: Whether to look for changed code before each invocation.
    """

    def __init__(self, function: Function, log: Log, *, limit: int = 10, reload: bool = False) -> None:
        self.function = function
        self._log = log
        self._limit = limit
        self._version: Callable[[], object] = (
            (lambda: version(function.task_root)) if reload else (lambda: None)
        )
        self._lock = threading.Condition()
        self._all: dict[Environment, object] = {}  # the one that was free last comes last
        self._leaving: list[Environment] = []
        self._closed = False

    def submit(self, event: bytes, *, trace: str = "", client_context: str = "") -> Invocation:
        """Start an invocation; its answer comes later.

        Raises:
            Throttled: No environment is free.
        """
        invocation = Invocation(event, trace, client_context)
        found = self._version()
        while True:
            environment = self._free(found)
            if environment is None:
                environment = self._started(found)
            if environment.submit(invocation):
                return invocation

    def close(self) -> None:
        """End every environment."""
        with self._lock:
            self._closed = True
            every = [*self._all, *self._leaving]
            leaving = [threading.Thread(target=environment.close) for environment in every]
        for thread in leaving:  # at the same time: each may take half a second
            thread.start()
        for thread in leaving:
            thread.join()

    def __len__(self) -> int:
        """Return how many environments there are."""
        return len(self._all)

    def _free(self, found: object) -> Environment | None:
        """Return an environment that is free and runs the present code; end those that run another."""
        while True:
            with self._lock:
                # Who has just got an answer may be quicker than the environment that gave it.
                self._lock.wait_for(
                    lambda: any(one.free for one in self._all) or not any(one.finishing for one in self._all),
                    _FINISHING_S,
                )
                old = next((one for one, ran in self._all.items() if ran != found and one.idle), None)
                if old is None:
                    fresh = (one for one, ran in reversed(self._all.items()) if ran == found and one.free)
                    return next(fresh, None)
            if not old.over:
                self._log("the code has changed: a new environment takes over")
            old.close()

    def _started(self, found: object) -> Environment:
        with self._lock:
            if self._closed or len(self._all) >= self._limit:
                raise Throttled(self._limit)
            environment = Environment(self.function, self._log, self._freed)
            self._all[environment] = found
        return environment

    def _freed(self, environment: Environment) -> None:
        with self._lock:
            found = self._all.pop(environment, None)
            if not environment.over:
                self._all[environment] = found
            else:  # its extensions may have two seconds yet
                self._leaving = [one for one in self._leaving if not one.ended] + [environment]
            self._lock.notify_all()
