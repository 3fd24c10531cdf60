"""One execution environment: a runtime behind a Runtime API, with its extensions.

    initialising ─▶ idle (frozen) ⇄ busy ─▶ ending ─▶ over

The runtime is initialised once, by its first call of `next`. Between two invocations everything is
stopped (SIGSTOP to each process group), so background threads stand still as they do on Lambda. The
environment ends when its time or its memory is up, or when one of its processes ends; whoever comes
next meets a new one.

A multi-concurrency environment (AWS_LAMBDA_MAX_CONCURRENCY) has as many invocations at once as its
runtime has workers, is never frozen, and outlives an invocation whose time is up: the client gets the
error, the code goes on, and its worker is free when it has answered.

Who calls what: the Runtime API's threads call the `Host` methods, one thread (`_live`) starts and ends
the processes (`sandbox`), one for each of them waits for its end, and one watches time and memory while
there is work. Everything they share is changed under one lock.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

from ..events.source import BUFFERED_LIMIT
from . import report
from .extensions import Extensions
from .function import Function
from .invocation import Answer, Invocation, Stream, failure
from .runtime_api import Refused, RuntimeAPIServer
from .sandbox import Sandbox

_WATCH_S = 0.02
_REASONS = {"close": "SPINDOWN", "timeout": "TIMEOUT", "init": "TIMEOUT"}

Log = Callable[[str], None]


class Environment:
    """One execution environment. Starts its processes at once; `submit` gives it invocations.

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
        self._multi = function.concurrency > 0
        self._most = max(1, function.concurrency)
        self._waiting: deque[Invocation] = deque()
        self._running: dict[str, Invocation] = {}
        self._abandoned: set[str] = set()
        self._polling = 0
        self._extensions = Extensions(function.arn, self._multi)
        self._sandbox = Sandbox(function, self._extensions, self._changed, self._failed)
        self._reported: Answer | None = None
        self._failure = ("Runtime.ExitError", "Error: Runtime exited")
        self._init_ms = 0.0
        self._ready = False
        self._ending = ""
        self._ended = False
        self._began = time.monotonic()
        self._server = RuntimeAPIServer(self)
        for work in (self._server.serve_forever, self._live, self._watch):
            threading.Thread(target=work, daemon=True, name=f"portway-{work.__name__}").start()

    @property
    def over(self) -> bool:
        """Whether the environment has ended, or is about to."""
        return bool(self._ending)

    @property
    def ended(self) -> bool:
        """Whether all of its processes have ended."""
        return self._ended

    @property
    def free(self) -> bool:
        """Whether it can take an invocation, as far as can be told without its lock."""
        return not self._ending and self._busy() < self._most

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do."""
        return not self._busy()

    @property
    def finishing(self) -> bool:
        """Whether its invocation is answered, and it will be free in a moment as a rule."""
        return not self._ending and any(one.answered.is_set() for one in tuple(self._running.values()))

    def submit(self, invocation: Invocation) -> bool:
        """Give the environment an invocation, when it is free; tell whether it could take it."""
        with self._changed:
            if not self.free:
                return False
            self._waiting.append(invocation)
            self._sandbox.thaw()
            self._changed.notify_all()
            return True

    def close(self) -> None:
        """End the environment as Lambda does: SIGTERM first where an extension is registered."""
        with self._changed:
            self._end("close")
            self._changed.wait_for(lambda: self._ended)

    def _busy(self) -> int:
        return len(self._waiting) + len(self._running) + len(self._abandoned)

    # The Runtime API.

    def next(self, connected: Callable[[], bool]) -> Invocation | None:
        """See `Host.next`."""
        with self._changed:
            if not self._multi and any(not one.answered.is_set() for one in self._running.values()):
                raise _bad_state("RuntimeInvocationRunning", "RuntimeReady")
            self._polling += 1
            self._extensions.closed = True
            self._forget_dead()
            self._settle()
            try:
                # While the environment ends the runtime hears nothing until it is gone: it has a signal.
                self._changed.wait_for(lambda: self._deliverable() or self._sandbox.gone)
            finally:
                self._polling -= 1
            if self._sandbox.gone or not connected():
                self._changed.notify_all()  # the event is for another worker
                return None
            given = self._waiting.popleft()
            self._running[given.request_id] = given
            given.begin(self.function.timeout_s)
            self._log(report.start(given.request_id))
            self._extensions.invoke(given)
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
        stream = Stream(lambda: self._done(request_id))
        self._answered(request_id, Answer(stream=stream, content_type=content_type))
        return stream

    def fail(self, request_id: str, body: bytes, kind: str) -> None:
        """See `Host.fail`."""
        self._answered(request_id, Answer(body, _error_type(body, kind)))

    def init_failed(self, body: bytes, kind: str) -> None:
        """See `Host.init_failed`."""
        with self._changed:
            self._reported = Answer(body, _error_type(body, kind), True)

    def restore(self) -> None:
        """See `Host.restore`. The snapshot is taken and restored in the same moment."""
        self._log("RESTORE_START")

    def register(self, name: str, events: object) -> str:
        """See `Host.register`."""
        with self._changed:
            extension = self._extensions.register(name, events)
            self._changed.notify_all()
        asked = ", ".join(extension.events)
        self._log(f"EXTENSION\tName: {name}\tState: Ready\tEvents: [{asked}]")
        return extension.identifier

    def extension_next(self, identifier: str) -> dict[str, object] | None:
        """See `Host.extension_next`."""
        with self._changed:
            extension = self._extensions.find(identifier)
            if extension.waiting:
                raise Refused(403, "Extension.InvalidExtensionState", "next is called already")
            extension.waiting = True
            self._settle()
            self._changed.wait_for(lambda: extension.event is not None or self._ended)
            event, extension.event = extension.event, None
            return event

    def extension_failed(self, identifier: str, kind: str) -> None:
        """See `Host.extension_failed`."""
        with self._changed:
            extension = self._extensions.find(identifier)
            self._failed(kind, f"Error: extension {extension.name} has given up")

    def _forget_dead(self) -> None:
        """Free the place of a worker that has died over an invocation, when another one has come for it."""
        while self._abandoned and self._polling + self._busy() > self._most:
            self._abandoned.pop()
            self._on_free(self)

    def _answered(self, request_id: str, answer: Answer) -> None:
        with self._changed:
            current = self._running.get(request_id)
            if current is None:
                self._abandoned.discard(request_id)  # late: its worker is free from now on
                raise Refused(400, "InvalidRequestID", "Invalid request ID")
            if not current.give(answer) and current.answer is not None:
                if current.answer.error == "Function.ResponseSizeTooLarge":
                    return  # a runtime that reports why its answer was refused
                raise _bad_state("RuntimeInvocationResponse", "RuntimeInvocationResponse")
        if answer.stream is None:
            self._done(request_id)

    def _done(self, request_id: str) -> None:
        """Hear that an answer is complete; which workers are free is not told, so each counts at once."""
        with self._changed:
            if self._multi and request_id in self._running:
                self._finish(self._running[request_id], "")

    # One invocation after another.

    def _deliverable(self) -> bool:
        if not self._waiting or not self._ready or self._ending:
            return False
        return self._multi or self._extensions.settled

    def _settle(self) -> None:
        """Note that runtime or extension waits for its next event: an invocation ends when all of them do."""
        if self._polling and self._extensions.settled:
            if not self._ready:
                self._ready = True
                self._init_ms = (time.monotonic() - self._began) * 1000
            if not self._multi:
                for current in tuple(self._running.values()):
                    self._finish(current, "")
                if not self._waiting and not self._ending:
                    self._sandbox.freeze()
        self._changed.notify_all()

    def _finish(self, current: Invocation, problem: str) -> None:
        """Report an invocation and let the next one come."""
        self._sandbox.resident()
        kind = current.answer.error if current.answer is not None else ""
        duration_ms = (time.monotonic() - current.began) * 1000
        if problem == "timeout":
            duration_ms = self.function.timeout_s * 1000
        init_ms, self._init_ms = self._init_ms, 0.0
        self._log(
            report.end(
                self.function, current.request_id, duration_ms, init_ms, self._sandbox.peak, problem or kind
            )
        )
        del self._running[current.request_id]
        if not self._ending:
            self._on_free(self)
        current.finished.set()

    def _time_out(self, current: Invocation, seconds: float) -> None:
        """Answer an invocation whose time is up, and report it."""
        when = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._log(f"{when} {current.request_id} Task timed out after {seconds:.2f} seconds\n")
        text = f"RequestId: {current.request_id} Error: Task timed out after {seconds:.2f} seconds"
        self._break_off(current, failure("Sandbox.Timedout", text), "timeout")

    def _break_off(self, current: Invocation, answer: Answer, problem: str) -> None:
        """Answer an invocation in the function's place, unless it is answered, and report it."""
        first = current.give(answer)
        self._finish(current, problem)
        if not first and current.answer is not None and current.answer.stream is not None:
            current.answer.stream.end(answer.error)

    # Time and memory.

    def _watch(self) -> None:
        """End what takes too long or too much."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._ready or self._running or self._ending)
                if self._ending:
                    return
                now = time.monotonic()
                due = self._due()
                if due is not None and now >= due:
                    self._overdue(now)
                elif self._sandbox.resident() > self.function.memory_mb << 20:
                    self._failed("Runtime.OutOfMemory", "Error: Runtime exited with error: signal: killed")
                self._changed.wait(min(_WATCH_S, max(0.0, due - now)) if due else _WATCH_S)

    def _due(self) -> float | None:
        if not self._ready:
            return self._began + self.function.init_s
        began = [one.began for one in self._running.values()]
        return min(began) + self.function.timeout_s if began else None

    def _overdue(self, now: float) -> None:
        if not self._ready or not self._multi:
            self._end("timeout" if self._ready else "init")
            return
        for current in tuple(self._running.values()):
            if now >= current.began + self.function.timeout_s:
                self._abandoned.add(current.request_id)
                self._time_out(current, self.function.timeout_s)
        self._forget_dead()

    # The end.

    def _live(self) -> None:
        """Start the processes, and end them when the environment is to end."""
        self._log(report.init_start(self.function))
        self._sandbox.launch(self._server.address, lambda: self.over)
        with self._changed:
            self._changed.wait_for(lambda: self._ending)
            self._sandbox.end(_REASONS.get(self._ending, "FAILURE"), self._settle_all)
            self._ended = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def _end(self, why: str) -> None:
        """Begin the end, of which only the first reason counts; `_live` does the rest."""
        if not self._ending:
            self._ending = why
            self._changed.notify_all()

    def _failed(self, kind: str, text: str) -> None:
        """Hear that a process could not be started, has ended or has given up."""
        if not self._ending:
            self._failure = (kind, text)
            self._end("failure")

    def _settle_all(self) -> None:
        """Give whoever waits for an answer the reason instead. The runtime has ended."""
        while self._waiting:
            given = self._waiting.popleft()
            self._running[given.request_id] = given
            given.begin(self.function.timeout_s)
            self._log(report.start(given.request_id))
        late = {"timeout": self.function.timeout_s, "init": self.function.init_s}.get(self._ending)
        if self._ending == "init" and not self._running:
            self._log(report.init_timeout(self.function.init_s))
        for current in tuple(self._running.values()):
            if late is not None:
                self._time_out(current, late)
            else:
                answer = self._reason(current)
                self._break_off(current, answer, answer.error)
        self._on_free(self)

    def _reason(self, current: Invocation) -> Answer:
        """Return why there is no answer."""
        if self._reported is not None:
            return self._reported
        kind, text = self._failure
        return failure(kind, f"RequestId: {current.request_id} {text}")


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
