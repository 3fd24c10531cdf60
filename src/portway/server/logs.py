"""The error log, and the descriptor that the access log goes to.

Rules. A line is one write(2) to a descriptor opened for appending, so lines of several processes
never mix and no lock is held. What cannot be written (a full disk, a closed pipe) is lost, and
serving goes on. Nothing a client or an application sends can start a line of its own: control
characters are escaped, and every further line of one entry is indented.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import time
import traceback
import weakref
from collections.abc import Sequence
from typing import Literal

from portway.config.access_format import LineFormat
from portway.errors import StartupFailed, shown
from portway.server.privileges import Identity

STDERR = 2
Level = Literal["debug", "info", "warning", "error", "critical"]
LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error", "critical")

# C0 and C1 controls, DEL, and the Unicode line and direction controls that fool a terminal or a log viewer.
_CONTROL = re.compile(
    r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def escape(text: str) -> str:
    """Return the text with every control character, line breaks included, written as an escape."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def describe_exception(error: BaseException) -> str:
    """Return the traceback of an exception, its own `__str__` failing or not."""
    try:
        return "".join(traceback.format_exception(error))
    except Exception:
        return f"{type(error).__name__} (its traceback cannot be shown)\n"


class LogFile:
    """A file that lines are appended to, or the standard error stream. Shared by forks.

    The descriptor's number never changes, so that other threads and compiled code may keep it.

    Args:
        target: A path (a relative one starts at the current directory, now), or "-" for standard error.
        owner: To whom the file is given, so that workers with fewer rights can open it again.

    Raises:
        StartupFailed: The file cannot be opened.
    """

    def __init__(self, target: str, owner: Identity | None = None) -> None:
        self.path = None if target == "-" else os.path.abspath(target)
        self._owner = owner
        try:
            self.fd = STDERR if self.path is None else self._open(self.path)
        except OSError as error:
            raise StartupFailed(
                f"cannot open the log {shown(target)}: {error.strerror}",
                "its directory must exist, and this user must be allowed to write there.",
            ) from error

        if self.path is not None:
            # with the last that writes to it, engines included: the number must not come to mean another file
            weakref.finalize(self, os.close, self.fd).atexit = False

    def _open(self, path: str) -> int:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY, 0o640)
        if self._owner is not None and os.geteuid() == 0:
            self._owner.own(fd)
        return fd

    def reopen(self) -> str | None:
        """Open the path again, after a log rotation renamed the file.

        Returns:
            Why that failed (the old file stays in use then), or None.
        """
        if self.path is None:
            return None
        try:
            fd = self._open(self.path)
        except OSError as error:
            return f"cannot reopen the log {shown(self.path)}: {error.strerror}"
        os.dup2(fd, self.fd, inheritable=False)  # atomic: no thread ever finds the number closed
        os.close(fd)
        return None

    def write(self, line: bytes) -> None:
        """Append whole lines, or lose them."""
        with contextlib.suppress(OSError):
            while line:
                line = line[os.write(self.fd, line) :]


class AccessLog(LogFile):
    """Where the engine writes the access log, by itself: it uses the attributes only.

    Attributes:
        json: Whether a line is a JSON object.
        pieces: The parts of a line.
        exclude: Paths whose requests are left out; a * at the end of one stands for anything.

    Args:
        target: A path, or "-" for the standard error stream.
        form: The form of a line.
        exclude: See the attribute.
        owner: To whom a file is given.
    """

    def __init__(
        self, target: str, form: LineFormat, exclude: Sequence[str] = (), owner: Identity | None = None
    ) -> None:
        super().__init__(target, owner)
        self.json = form.json
        self.pieces = form.pieces
        self.exclude = tuple(path.encode() for path in exclude)


class ErrorLog(LogFile):
    """The error log: `2026-11-21 10:00:00 [pid] level: text`. Any thread, any process.

    Args:
        target: A path, or "-" for the standard error stream.
        level: The least severe level that is written.
        owner: To whom a file is given.
    """

    def __init__(self, target: str, level: Level = "info", owner: Identity | None = None) -> None:
        super().__init__(target, owner)
        self._least = mmap.mmap(-1, 1)
        self.level = level

    @property
    def level(self) -> Level:
        """The least severe level that is written. Setting it holds for every process, at once."""
        return LEVELS[self._least[0]]

    @level.setter
    def level(self, level: Level) -> None:
        self._least[0] = LEVELS.index(level)

    def entry(self, level: Level, text: str, details: str = "") -> None:
        """Write one entry.

        Args:
            level: How severe it is.
            text: One line; line breaks and other control characters in it are escaped.
            details: Further lines, such as a traceback; written below, indented.
        """
        if LEVELS.index(level) < self._least[0]:
            return
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        lines = [f"{now} [{os.getpid()}] {level}: {escape(text)}"]
        lines += [f"    {escape(line)}" for line in details.rstrip("\n").split("\n") if details]
        self.write(("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"))
