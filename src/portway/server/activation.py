"""Sockets that systemd opened for this service (socket activation, sd_listen_fds(3))."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

from msgspec import Struct

from portway.errors import StartupFailed, shown

FIRST = 3
MOST = 1024
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


class Passed(Struct, frozen=True):
    """One descriptor that was passed.

    Attributes:
        fd: Its number.
        name: FileDescriptorName= of its socket unit, "" for none.
    """

    fd: int
    name: str


def passed_sockets(environ: MutableMapping[str, str], pid: int) -> tuple[Passed, ...]:
    """Return the sockets that were passed to this process, and forget where that was said.

    Variables meant for another process (LISTEN_PID) are taken out of the environment all the same:
    no worker, and no program that the application starts, may take them for its own.

    Args:
        environ: The process's environment; it changes.
        pid: This process.

    Raises:
        StartupFailed: The variables are for this process and make no sense.
    """
    for_whom, count, names = (environ.pop(name, "") for name in _VARIABLES)
    if for_whom != str(pid):
        return ()
    if not count.isascii() or not count.isdigit() or not 1 <= int(count) <= MOST:
        raise StartupFailed(
            f"LISTEN_FDS is {shown(count)}, which is no number of sockets",
            "systemd sets it; unset LISTEN_PID and LISTEN_FDS to listen on --bind.",
        )
    called = names.split(":") if names else []
    called += [""] * (int(count) - len(called))
    sockets = tuple(Passed(FIRST + index, called[index]) for index in range(int(count)))
    for one in sockets:
        try:
            os.set_inheritable(one.fd, False)
        except OSError as error:
            raise StartupFailed(
                f"LISTEN_FDS says that descriptor {one.fd} is a socket to listen on: {error.strerror}",
                "whoever sets LISTEN_PID and LISTEN_FDS must pass the sockets, too.",
            ) from error
    return sockets
