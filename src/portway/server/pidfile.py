"""The arbiter's pid file: whole from the first moment, and locked to tell a stale one from a live one.

Asking whether the pid inside is alive is not enough: in a container the same small numbers come back
with every start, and a file left on a volume then names some innocent process.

Scripts send signals to whatever number stands in the file, so nobody else may be able to write it: not
through a symbolic link, not as the owner of an old file, not in a directory where everybody may replace it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat

from portway.errors import StartupFailed, shown
from portway.server.privileges import user_name


class PidFile:
    """A file with one process id and a newline, locked while its owner lives.

    Owned by the process that made it; a fork must call `forget`, or the lock would outlive the owner.

    Args:
        path: Where it stands. A relative one starts at the current directory, now.

    Raises:
        StartupFailed: Another running arbiter holds it, it cannot be written, or others could write it.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self._owner = os.getpid()
        try:
            self._refuse_if_exposed()
            self._refuse_if_held()
            self._fd = self._write()
        except OSError as error:
            raise StartupFailed(
                f"cannot write the pid file {shown(path)}: {error.strerror}", "--pid names the file."
            ) from error

    def _refuse_if_exposed(self) -> None:
        """Refuse a place where somebody else decides what is read from the file."""
        directory = os.path.dirname(self.path)
        mode = os.stat(directory).st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            self._refuse(
                f"everybody may replace files in {shown(directory)}",
                f"chmod o-w {directory}, or use another.",
            )
        with contextlib.suppress(FileNotFoundError):
            there = os.lstat(self.path)
            if stat.S_ISLNK(there.st_mode):
                self._refuse("it is a symbolic link", "--pid names the file itself.")
            if not stat.S_ISREG(there.st_mode):
                self._refuse("something that is no file stands there", "look at it, and remove it.")
            if there.st_uid not in (os.geteuid(), 0):
                self._refuse(f"it belongs to {user_name(there.st_uid)}", "look at it, and remove it.")

    def _refuse(self, why: str, hint: str) -> None:
        raise StartupFailed(f"the pid file {shown(self.path)} cannot be trusted: {why}", hint)

    def _refuse_if_held(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                holder = os.read(fd, 32).strip().decode("ascii", "replace")
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StartupFailed(
                    f"the pid file {shown(self.path)} belongs to a running server, pid {holder}",
                    f"stop that server first (kill -TERM {holder}), or give this one another --pid.",
                ) from None
            finally:
                os.close(fd)

    def _write(self) -> int:
        temporary = f"{self.path}.{self._owner}"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            os.fchmod(fd, 0o644)  # readable by whoever has to send a signal, whatever the umask
            os.write(fd, b"%d\n" % self._owner)
            with contextlib.suppress(OSError):  # some network file systems have no locks
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rename(temporary, self.path)
        except OSError:
            os.close(fd)
            os.unlink(temporary)
            raise
        return fd

    def _still_ours(self) -> bool:
        mine, there = os.fstat(self._fd), os.stat(self.path)
        return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)

    def rename(self, path: str) -> None:
        """Stand under another name from now on, in place of whatever has it.

        Raises:
            OSError: It cannot be renamed.
        """
        path = os.path.abspath(path)
        os.rename(self.path, path)
        self.path = path

    def remove(self) -> None:
        """Remove the file, if it is still the one that was written and this is its owner."""
        with contextlib.suppress(OSError):
            if os.getpid() == self._owner and self._still_ours():
                os.unlink(self.path)
        self.forget()

    def forget(self) -> None:
        """Close the descriptor that holds the lock. Idempotent."""
        with contextlib.suppress(OSError):
            os.close(self._fd)
        self._fd = -1
