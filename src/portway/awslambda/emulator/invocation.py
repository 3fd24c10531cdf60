"""One invocation: the event on its way in, and the answer on its way out."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import uuid4

_PIECES_MOST = 16
"""Pieces of a streamed answer that wait for a slow reader before the function has to wait as well."""


class BrokenStream(Exception):
    """A streamed answer that ended with an error after its start."""


class Stream:
    """A streamed answer between the Runtime API's thread, which writes, and the front door's, which reads.

    A reader that goes away calls `abandon`; the function goes on, as on Lambda.

    Args:
        on_end: Called once, when the function has written all of it or can write no more.
    """

    def __init__(self, on_end: Callable[[], None] = lambda: None) -> None:
        self._on_end = on_end
        self._changed = threading.Condition()
        self._pieces: deque[bytes] = deque()
        self._abandoned = False
        self._ended = False
        self._error = ""

    def put(self, data: bytes) -> None:
        """Add a piece, waiting while too many wait for the reader."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._pieces) < _PIECES_MOST or self._abandoned or self._ended)
            if not self._abandoned and not self._ended:
                self._pieces.append(data)
                self._changed.notify_all()

    def end(self, error: str = "") -> None:
        """End the stream. Only the first call counts.

        Args:
            error: The kind of error that ended it, or "".
        """
        with self._changed:
            if self._ended:
                return
            self._ended = True
            self._error = error
            self._changed.notify_all()
        self._on_end()

    def abandon(self) -> None:
        """Say that nobody reads any longer."""
        with self._changed:
            self._abandoned = True
            self._pieces.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces as they come.

        Raises:
            BrokenStream: The function failed on the way.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._pieces) or self._ended)
                if not self._pieces:
                    if self._error:
                        raise BrokenStream(self._error)
                    return
                piece = self._pieces.popleft()
                self._changed.notify_all()
            yield piece


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an invocation.

    Attributes:
        body: The function's answer, or the JSON object that describes an error.
        error: The error's type ("ValueError", "Sandbox.Timedout"), or "".
        fatal: Whether the environment ended with it: the process died, was killed or never started.
        stream: A streamed answer; `body` is empty then.
        content_type: The media type that the function gave its answer.
    """

    body: bytes = b""
    error: str = ""
    fatal: bool = False
    stream: Stream | None = None
    content_type: str = "application/json"

    def whole(self) -> bytes:
        """Return the whole answer, a streamed one after its end.

        Raises:
            BrokenStream: It ended with an error.
        """
        return self.body if self.stream is None else b"".join(self.stream)


class Invocation:
    """One event and what becomes of it.

    Attributes:
        request_id: Lambda's request id.
        event: The event's bytes.
        trace: The X-Ray trace header.
        client_context: What the caller says of itself, JSON, or "".
        began: When the event was handed to the function, by the monotonic clock; 0 before.
        deadline_ms: When Lambda ends it, in milliseconds of the wall clock.
        answer: What came of it; set once, with `answered`.
        finished: Set when the environment is free again, or gone.
    """

    def __init__(self, event: bytes, trace: str = "", client_context: str = "") -> None:
        self.request_id = str(uuid4())
        self.event = event
        self.trace = trace or _new_trace()
        self.client_context = client_context
        self.began = 0.0
        self.deadline_ms = 0
        self.answer: Answer | None = None
        self.answered = threading.Event()
        self.finished = threading.Event()

    def begin(self, timeout_s: float) -> None:
        """Start the clock: the event goes to the function now."""
        self.began = time.monotonic()
        self.deadline_ms = int((time.time() + timeout_s) * 1000)

    def give(self, answer: Answer) -> bool:
        """Set the answer; tell whether it was the first."""
        if self.answer is not None:
            return False
        self.answer = answer
        self.answered.set()
        return True

    def wait(self, seconds: float | None = None) -> Answer | None:
        """Return the answer, or None when there is none in that time."""
        self.answered.wait(seconds)
        return self.answer


def failure(kind: str, message: str) -> Answer:
    """Return the answer for an environment that Lambda has ended."""
    body = json.dumps({"errorType": kind, "errorMessage": message}, separators=(",", ":"))
    return Answer(body.encode(), kind, True)


def _new_trace() -> str:
    root = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    return f"Root={root};Parent={secrets.token_hex(8)};Sampled=0"
