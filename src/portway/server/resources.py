"""Descriptors: the limit of open files, and the three that everybody takes for granted."""

from __future__ import annotations

import os
import resource

SPARE = 256
"""Descriptors for the application itself: its modules, log files, database connections."""


def raise_descriptor_limit(needed: int) -> int:
    """Raise the soft limit of open files, never above the hard one, and never lower it.

    Args:
        needed: Descriptors that one process may have open at once.

    Returns:
        The limit now in force.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return needed if soft == resource.RLIM_INFINITY else soft
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # macOS has a further limit that getrlimit does not tell
        return soft
    return wanted


def occupy_standard_streams() -> None:
    """Open /dev/null in place of each standard stream that is closed.

    The next thing opened would get its number otherwise, and a line for standard error would then be
    written to a client.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
