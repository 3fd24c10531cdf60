"""Real `portway serve` processes for tests: started, waited for by what they print, always ended."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.client import SecureAddress

APPS = Path(__file__).parent / "apps"
COMMAND = (sys.executable, "-m", "portway")
DEADLINE_S = 40.0
"""Longest wait for what a server should do at once; generous, for a machine that stands still at times."""
READ = "\0read"
"""Ends the line that is put into the pipe of a server's log behind all that was printed."""


class Portway:
    """A server process with its log. A context manager: leaving it kills whatever is left.

    Args:
        app: A file under `tests/support/apps`, or any other name of an application.
        args: Further arguments of `portway serve`. Without a `--bind` it listens on a free port.
        env: Environment variables to add.
        cwd: Working directory.
        pass_fds: Descriptors that the process inherits.
        command: The whole command line instead of all of the above.
        bind: Whether to add a `--bind` where none is given.
    """

    def __init__(
        self,
        app: str,
        *args: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        pass_fds: tuple[int, ...] = (),
        bind: bool = True,
        command: Sequence[str] = (),
    ) -> None:
        target = str(APPS / app) if (APPS / app.partition(":")[0]).is_file() else app
        given = not bind or any(arg in ("--bind", "-b") for arg in args)
        where = () if given else ("--bind", "127.0.0.1:0")
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._read_up_to = 0
        self.process = subprocess.Popen(
            command or [*COMMAND, "serve", *([target] if target else []), *where, *args],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
            cwd=cwd,
            pass_fds=pass_fds,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            text = line.rstrip("\n")
            with self._changed:
                if text.endswith(READ):
                    self._read_up_to += 1
                if text != READ:
                    self.lines.append(text.removesuffix(READ))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)  # workers too: they are in its session
        self.process.wait()
        self._reader.join(DEADLINE_S)
        if self.process.stderr:
            self.process.stderr.close()
        if kind is not None:
            sys.stderr.write("".join(f"portway| {line}\n" for line in self.lines))

    @property
    def pid(self) -> int:
        """The arbiter's process id."""
        return self.process.pid

    @property
    def log(self) -> str:
        """Everything printed so far."""
        return "\n".join(self.lines)

    def wait_for(self, pattern: str, *, count: int = 1, timeout_s: float = DEADLINE_S) -> re.Match[str]:
        """Wait until that many lines match; return the match of the last of them."""
        expression = re.compile(pattern)
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                matches = [match for line in self.lines if (match := expression.search(line))]
                if len(matches) >= count:
                    return matches[count - 1]
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    raise AssertionError(f"{len(matches)} of {count} lines match {pattern!r} in:\n{self.log}")
                self._changed.wait(left)

    def ready(self, count: int = 1) -> Self:
        """Wait for the line that says it serves (a reload prints one more)."""
        self.wait_for(r"info: serving ", count=count)
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the first TCP listener."""
        match = self.wait_for(r"listening on .*(https?)://(\[[^\]]*\]|[^:]+):(\d+)")
        address = match[2].strip("[]"), int(match[3])
        return SecureAddress(address) if match[1] == "https" else address

    def send(self, number: int) -> None:
        """Send a signal to the arbiter."""
        os.kill(self.pid, number)

    def exit_code(self, timeout_s: float = DEADLINE_S) -> int:
        """Wait for the arbiter's end; what it printed has been read then."""
        code = self.process.wait(timeout_s)
        self._read_all()
        return code

    def _read_all(self) -> None:
        """Wait until what is in the pipe has been read. Its end may be far: others have the pipe, too."""
        assert self.process.stderr
        with self._changed:
            if self._ended:
                return
            goal = self._read_up_to + 1
            with open(f"/proc/self/fd/{self.process.stderr.fileno()}", "wb", buffering=0) as pipe:
                pipe.write(f"{READ}\n".encode())
            assert self._changed.wait_for(lambda: self._ended or self._read_up_to >= goal, DEADLINE_S)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal that ends it, and wait for that."""
        self.send(number)
        return self.exit_code()

    def workers(self) -> list[int]:
        """Return the process ids of the living workers."""
        return children(self.pid)


def children(pid: int) -> list[int]:
    """Return a process's living children, sorted."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    return sorted(int(child) for child in listed.split() if is_alive(int(child)))


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    return state(pid) not in ("Z", "")


def state(pid: int) -> str:
    """Return the letter of a process's state, "" when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


@contextlib.contextmanager
def standing_still(pid: int) -> Iterator[None]:
    """Stop a process meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        while state(pid) not in ("T", ""):
            os.sched_yield()
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def wait_for_end(pid: int, timeout_s: float = DEADLINE_S) -> None:
    """Wait until a process that is nobody's child here has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        assert poll.poll(timeout_s * 1000), f"process {pid} still runs after {timeout_s} s"
    finally:
        os.close(descriptor)
