"""How much memory a process and its descendants hold, as Lambda counts it: resident pages.

An address space limit (RLIMIT_AS) would count what is only reserved, and end programs that Lambda runs:
each thread reserves eight megabytes, an allocator's arena 64. Where there is no /proc nothing is known.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident(pid: int) -> int:
    """Return the resident bytes of a process and its descendants; 0 when they cannot be told."""
    return sum(_resident(member) for member in _family(pid))


def peak(pid: int) -> int:
    """Return the most resident bytes that a process has had; 0 when that cannot be told."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), "")
    return int(line.split()[1]) * 1024 if line else 0


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _family(pid: int) -> Iterator[int]:
    yield pid
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for thread in threads:
        try:
            children = Path(f"/proc/{pid}/task/{thread}/children").read_text()
        except OSError:
            continue
        for child in children.split():
            yield from _family(int(child))
