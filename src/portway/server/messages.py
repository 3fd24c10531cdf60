"""What a worker and its arbiter say to each other, and the socket they say it on.

Each worker has one stream socket pair with the arbiter. A message is one line of JSON. The same
socket is the worker's lifeline: end of file on it means that the arbiter is gone. That holds only
while no other process has the arbiter's end, so every worker closes the ends it inherits.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket

import msgspec

MAX_DETAILS = 64 * 1024
"""Characters of a traceback that travel in one message; the end of it is the part that is kept."""

MAX_LINE = 1024 * 1024
"""Bytes that may wait for the end of their line. No message is as long."""

PIECES_AT_ONCE = 32


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """The worker answers requests.

    Attributes:
        interface: What the application speaks, as the start line shows it: "WSGI", "ASGI".
        workings: What runs it: "4 threads", "asyncio".
    """

    interface: str
    workings: str


class Failed(msgspec.Struct, tag="failed", frozen=True):
    """The worker cannot start. `text`, `hint` and `details` are those of a `PortwayError`."""

    text: str
    hint: str | None = None
    details: str = ""


class Preloaded(msgspec.Struct, tag="preloaded", frozen=True):
    """The preloader has imported the application and forks workers from now on."""


class Step(msgspec.Struct, frozen=True):
    """An import statement that the application has executed.

    Attributes:
        file: Where it stands.
        name: What it imports, as it is written.
        names: What it takes from that.
        level: How many dots stand before the name.
        installed: The package is an installed one, or of the standard library.
    """

    file: str
    name: str
    names: tuple[str, ...]
    level: int
    installed: bool = False

    def same(self, other: Step) -> bool:
        """Whether it is the same statement."""
        return (self.file, self.name, self.names, self.level) == (
            other.file,
            other.name,
            other.names,
            other.level,
        )


class Imported(msgspec.Struct, tag="imported", frozen=True):
    """What the worker's application has imported before any code of its own ran."""

    steps: tuple[Step, ...]


class Unfit(msgspec.Struct, tag="unfit", frozen=True):
    """The worker was forked from a process that its application does not fit. `why` says so."""

    why: str


class Changed(msgspec.Struct, tag="changed", frozen=True):
    """Files that are watched have changed. `files` names them."""

    files: str


class Stuck(msgspec.Struct, tag="stuck", frozen=True):
    """A request goes on in the worker although it was interrupted; only the worker's end will end it.

    Attributes:
        request: 'GET /path'.
    """

    request: str


class Stacks(msgspec.Struct, tag="stacks", frozen=True):
    """What a worker's threads and tasks are doing; the answer to SIGURG. `pid` is the worker's."""

    pid: int
    text: str


class WorkerState(msgspec.Struct, frozen=True):
    """A living worker as the arbiter sees it; `ready` and `leaving` are those of `WorkerProcess`."""

    pid: int
    generation: int
    age_s: int
    ready: bool
    leaving: bool


class State(msgspec.Struct, tag="state", frozen=True):
    """What the arbiter tells the monitor about the server.

    Attributes:
        pid: The arbiter's.
        started: Seconds since 1970.
        since: The same in monotonic seconds, for a clock that is set.
        serving: The generation that serves, 0 for none.
        coming: The generation that is starting, 0 for none.
        rejected: The generation that could not start, 0 once one could since.
        why: Why it could not.
        refusals: How many could not since the start.
        lost: How many workers have ended that nobody had told to.
        target: How many workers are wanted.
        stopping: The server is on its way out.
        log_level: The least severe level that the error log takes.
        workers: The living workers, oldest first.
    """

    pid: int
    started: float
    since: float
    serving: int = 0
    coming: int = 0
    rejected: int = 0
    why: str = ""
    refusals: int = 0
    lost: int = 0
    target: int = 0
    stopping: bool = False
    log_level: str = "info"
    workers: tuple[WorkerState, ...] = ()


class Command(msgspec.Struct, tag="command", frozen=True):
    """What the monitor asks the arbiter to do. `number` comes back with the answer."""

    number: int
    name: str
    argument: str = ""


class Done(msgspec.Struct, tag="done", frozen=True):
    """The arbiter's answer to a command.

    Attributes:
        number: The command's.
        error: Why it was not obeyed, "" when it was.
        value: For a reload the number of its generation, for workers how many are wanted now.
        refusals: How many generations could not start before.
    """

    number: int
    error: str = ""
    value: int = 0
    refusals: int = 0


Message = Ready | Failed | Stuck | Preloaded | Imported | Unfit | Changed | Stacks | State | Command | Done

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def _line(message: Message) -> bytes:
    try:
        return _encoder.encode(message) + b"\n"
    except UnicodeEncodeError:  # what an application raised may name a file whose name is no UTF-8
        fields = msgspec.structs.asdict(message).items()
        texts = {name: escape_surrogates(value) for name, value in fields if isinstance(value, str)}
        return _encoder.encode(msgspec.structs.replace(message, **texts)) + b"\n"


def escape_surrogates(text: str) -> str:
    """Return the text with surrogates, which UTF-8 does not have, as "\\udcff"."""
    return text.encode("utf-8", "backslashreplace").decode()


class Channel:
    """One end of the socket pair between the arbiter and a worker. Owned by one process.

    Attributes:
        closed_by_peer: The other process is gone; set by `receive`.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = b""
        self._torn = b""
        self.closed_by_peer = False

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Return the arbiter's end and the worker's end."""
        arbiter, worker = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        arbiter.setblocking(False)
        return cls(arbiter), cls(worker)

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""
        return self._sock.fileno()

    def send(self, message: Message) -> None:
        """Send a message, or lose it when the other process is gone."""
        with contextlib.suppress(OSError):
            torn, self._torn = self._torn, b""
            self._sock.sendall(torn + _line(message))

    def offer(self, message: Message) -> None:
        """Send a message, or lose it when the other process does not read at the moment."""
        with contextlib.suppress(OSError):
            line = self._torn + _line(message)
            if self._sock.send(line, socket.MSG_DONTWAIT) < len(line):
                self._torn = b"\n"  # part of it went: the next message begins on a line of its own
            else:
                self._torn = b""

    def receive(self) -> list[Message]:
        """Return the messages that have arrived, without waiting. Lines that are no message are skipped.

        Somebody who never stops talking is not listened to for ever: what is left is for the next call.
        """
        for _ in range(PIECES_AT_ONCE):
            try:
                piece = self._sock.recv(65536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError:
                piece = b""
            if not piece:
                self.closed_by_peer = True
                break
            self._buffer += piece
        *lines, self._buffer = self._buffer.split(b"\n")
        if len(self._buffer) > MAX_LINE:
            self._buffer = b""
        messages = []
        for line in lines:
            # the application may write to any descriptor: what is no JSON, no UTF-8, or nested without an end
            with contextlib.suppress(msgspec.DecodeError, ValueError, RecursionError):
                messages.append(_decoder.decode(line))
        return messages

    def signal_on_input(self, enabled: bool) -> None:
        """Have the kernel send SIGIO to this process when there is something to receive, or end of file.

        It needs no thread and no poller, and while SIGIO has its default action it ends a worker whose
        arbiter dies before the worker is ready to notice.
        """
        fcntl.fcntl(self._sock, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(self._sock, fcntl.F_GETFL) & ~os.O_ASYNC
        fcntl.fcntl(self._sock, fcntl.F_SETFL, flags | (os.O_ASYNC if enabled else 0))

    def close(self) -> None:
        """Close this end. Idempotent."""
        self._sock.close()
