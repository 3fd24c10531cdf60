"""One execution environment: a process behind a Runtime API, one invocation at a time.

    initialising ─▶ busy ⇄ idle (frozen)
          └──────────┴───────┴─────▶ over

The process is initialised once, by its first call of `next`. Between two invocations it is stopped
(SIGSTOP to its process group), so background threads stand still as they do on Lambda. It is killed
when its time or its memory is up; whoever comes next meets a new environment.

Who calls what: the Runtime API's threads call the `Host` methods, one thread waits for the process to
end and one watches time and memory while there is work. Everything they share is changed under one lock.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from uuid import uuid4

from ..events.source import BUFFERED_LIMIT
from . import memory, report
from .function import Function, variables
from .invocation import Answer, Invocation, Stream, failure
from .runtime_api import Refused, RuntimeAPIServer

_WATCH_S = 0.02
_STDERR = 2  # the function's whole output is its log
_SHUTDOWN_S = 0.5
"""What Lambda allows a function that has registered an extension between SIGTERM and SIGKILL."""

Log = Callable[[str], None]


class Environment:
    """One execution environment. Starts its process at once; `submit` gives it the first invocation.

    Args:
        function: What runs in it.
        log: Takes Lambda's own lines of the function's log.
        on_free: Called with this environment whenever it can take an invocation, and once when it is
            over. Called under this environment's lock: it must not call back into it.
    """

    def __init__(self, function: Function, log: Log, on_free: Callable[[Environment], None]) -> None:
        self.function = function
        self._log = log
        self._on_free = on_free
        self._changed = threading.Condition()
        self._given: Invocation | None = None
        self._current: Invocation | None = None
        self._init_failure: Answer | None = None
        self._init_ms = 0.0
        self._ready = False
        self._frozen = False
        self._over = False
        self._closing = False
        self._extensions = 0
        self._peak = 0
        self._killed_for = ""
        self._began = time.monotonic()
        self._server = RuntimeAPIServer(self)
        self._process = self._start()
        for work in (self._server.serve_forever, self._wait, self._watch):
            threading.Thread(target=work, daemon=True, name=f"portway-{work.__name__}").start()

    def _start(self) -> subprocess.Popen[bytes]:
        self._log(report.init_start(self.function))
        # A process group, not a session: should the emulator be killed, the kernel wakes the group's
        # stopped processes and hangs up on them (POSIX, orphaned process groups).
        return subprocess.Popen(
            self.function.command,
            cwd=self.function.task_root,
            env=variables(self.function, self._server.address),
            stdin=subprocess.DEVNULL,
            stdout=_STDERR,
            process_group=0,
        )

    @property
    def over(self) -> bool:
        """Whether the environment has ended, or is about to."""
        return self._over or self._closing or bool(self._killed_for)

    @property
    def finishing(self) -> bool:
        """Whether its invocation is answered, and it will be free in a moment as a rule."""
        current = self._current
        return current is not None and current.answered.is_set() and not self.over

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def submit(self, invocation: Invocation) -> bool:
        """Give the environment an invocation, when it is free; tell whether it could take it."""
        with self._changed:
            if self.over or self._given is not None or self._current is not None:
                return False
            self._given = invocation
            self._thaw()
            self._changed.notify_all()
            return True

    def close(self) -> None:
        """End the environment as Lambda does: SIGTERM first where an extension is registered."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            self._thaw()
            polite = self._extensions and not self._over
        if polite:
            self._signal(signal.SIGTERM)
            with self._changed:
                self._changed.wait_for(lambda: self._over, _SHUTDOWN_S)
        self._signal(signal.SIGKILL)
        with self._changed:
            self._changed.wait_for(lambda: self._over)

    # The Runtime API.

    def next(self) -> Invocation | None:
        """See `Host.next`."""
        with self._changed:
            current = self._current
            if current is not None and not current.answered.is_set():
                raise _bad_state("RuntimeInvocationRunning", "RuntimeReady")
            if not self._ready:
                self._ready = True
                self._init_ms = (time.monotonic() - self._began) * 1000
            if current is not None:
                self._finish("")
            if self._given is None and not self._closing:
                self._freeze()
            self._changed.wait_for(lambda: self._given is not None or self._over)
            given, self._given = self._given, None
            if given is None:
                return None
            self._current = given
            given.begin(self.function.timeout_s)
            self._log(report.start(given.request_id))
            self._changed.notify_all()
            return given

    def respond(self, request_id: str, body: bytes, content_type: str) -> None:
        """See `Host.respond`."""
        self._answered(request_id, Answer(body, content_type=content_type))

    def respond_too_large(self, request_id: str) -> None:
        """See `Host.respond_too_large`."""
        text = f"Response payload size exceeded maximum allowed payload size ({BUFFERED_LIMIT} bytes)."
        self._answered(request_id, failure("Function.ResponseSizeTooLarge", text))

    def stream(self, request_id: str, content_type: str) -> Stream:
        """See `Host.stream`."""
        stream = Stream()
        self._answered(request_id, Answer(stream=stream, content_type=content_type))
        return stream

    def fail(self, request_id: str, body: bytes, kind: str) -> None:
        """See `Host.fail`."""
        self._answered(request_id, Answer(body, _error_type(body, kind)))

    def init_failed(self, body: bytes, kind: str) -> None:
        """See `Host.init_failed`."""
        with self._changed:
            self._init_failure = Answer(body, _error_type(body, kind), True)

    def restore(self) -> None:
        """See `Host.restore`. The snapshot is taken and restored in the same moment."""
        self._log("RESTORE_START")

    def register(self, name: str) -> str:
        """See `Host.register`."""
        with self._changed:
            self._extensions += 1
        self._log(f"EXTENSION\tName: {name}\tState: Ready\tEvents: []")
        return str(uuid4())

    def wait_for_end(self) -> None:
        """See `Host.wait_for_end`."""
        with self._changed:
            self._changed.wait_for(lambda: self._over)

    def _answered(self, request_id: str, answer: Answer) -> None:
        with self._changed:
            current = self._current
            if current is None or current.request_id != request_id:
                raise Refused(400, "InvalidRequestID", "Invalid request ID")
            if not current.give(answer) and current.answer is not None:
                if current.answer.error == "Function.ResponseSizeTooLarge":
                    return  # a runtime that reports why its answer was refused
                raise _bad_state("RuntimeInvocationResponse", "RuntimeInvocationResponse")

    # The process.

    def _finish(self, problem: str) -> None:
        """Report the current invocation and let the next one come."""
        current = self._current
        assert current is not None
        self._look()
        kind = current.answer.error if current.answer is not None else ""
        duration_ms = (time.monotonic() - current.began) * 1000
        if problem == "timeout":
            duration_ms = self.function.timeout_s * 1000
        init_ms, self._init_ms = self._init_ms, 0.0
        self._log(
            report.end(
                self.function, current.request_id, duration_ms, init_ms, self._peak, problem or kind
            )
        )
        if not self._over:
            self._on_free(self)
        self._current = None  # only now: until then it counts as `finishing`
        current.finished.set()

    def _look(self) -> int:
        resident = memory.resident(self._process.pid)
        self._peak = max(self._peak, resident, memory.peak(self._process.pid))
        return resident

    def _freeze(self) -> None:
        self._frozen = True
        self._signal(signal.SIGSTOP)

    def _thaw(self) -> None:
        if self._frozen:
            self._frozen = False
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        # Not yet reaped means that the process id is still its own: `_wait` holds the lock when it reaps.
        if self._process.returncode is None:
            with suppress(OSError):
                os.killpg(self._process.pid, number)

    def _kill(self, reason: str) -> None:
        """End the process; `_wait` tells its invocation why. Called under the lock."""
        self._killed_for = reason
        self._signal(signal.SIGKILL)

    def _watch(self) -> None:
        """End the process when its time or its memory is up."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._working() or self._over)
                if self._over:
                    return
                now = time.monotonic()
                due = self._began + self.function.init_limit_s if not self._ready else None
                if self._current is not None:
                    due = self._current.began + self.function.timeout_s
                if due is not None and now >= due:
                    self._kill("timeout" if self._ready else "init")
                elif self._look() > self.function.memory_mb << 20:
                    self._kill("memory")
                self._changed.wait(min(_WATCH_S, max(0.0, due - now)) if due else _WATCH_S)

    def _working(self) -> bool:
        return not self._killed_for and (not self._ready or self._current is not None)

    def _wait(self) -> None:
        """Wait for the process to end, and give whoever waits for an answer the reason instead."""
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        with self._changed:
            self._signal(signal.SIGKILL)  # what it has left behind in its group
            status = self._process.wait()
            self._over = True
            if self._current is None and self._given is not None:
                self._current, self._given = self._given, None
                self._current.begin(self.function.timeout_s)
                self._log(report.start(self._current.request_id))
            if self._current is not None:
                self._settle(self._current, status)
            elif self._killed_for == "init":
                self._log(report.init_timeout(self.function.init_limit_s))
            self._on_free(self)
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def _settle(self, current: Invocation, status: int) -> None:
        answer = self._reason(current, status)
        if self._killed_for in ("timeout", "init"):
            seconds = self.function.timeout_s if self._killed_for == "timeout" else self.function.init_limit_s
            when = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            self._log(f"{when} {current.request_id} Task timed out after {seconds:.2f} seconds\n")
        if not current.give(answer) and current.answer is not None and current.answer.stream is not None:
            current.answer.stream.end(answer.error)
        self._finish("timeout" if self._killed_for in ("timeout", "init") else answer.error)

    def _reason(self, current: Invocation, status: int) -> Answer:
        """Return why there is no answer."""
        if self._killed_for in ("timeout", "init"):
            seconds = self.function.timeout_s if self._killed_for == "timeout" else self.function.init_limit_s
            text = f"RequestId: {current.request_id} Error: Task timed out after {seconds:.2f} seconds"
            return failure("Sandbox.Timedout", text)
        if self._init_failure is not None:
            return self._init_failure
        if status == 0:
            why = "Runtime exited without providing a reason"
        elif status < 0:
            why = f"Runtime exited with error: signal: {signal.strsignal(-status) or -status}".lower()
            why = "R" + why[1:]
        else:
            why = f"Runtime exited with error: exit status {status}"
        kind = "Runtime.OutOfMemory" if self._killed_for == "memory" else "Runtime.ExitError"
        return failure(kind, f"RequestId: {current.request_id} Error: {why}")


def _error_type(body: bytes, kind: str) -> str:
    """Return an error's type: the object's own, or what the header says."""
    try:
        found = json.loads(body).get("errorType")
    except (ValueError, AttributeError):
        found = None
    return found if isinstance(found, str) and found else kind or "Unhandled"


def _bad_state(before: str, after: str) -> Refused:
    failed = f"State transition from {before} to {after} failed for runtime."
    return Refused(403, "InvalidStateTransition", f"{failed} Error: State transition is not allowed")
