"""How much memory and processor time a process takes, from /proc. Elsewhere than Linux nothing is known."""

from __future__ import annotations

import os
import sys

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")

KNOWN = sys.platform == "linux"
"""Whether these figures exist here."""


def resident_bytes(pid: int) -> int:
    """Return the resident set size, pages shared with other processes included; 0 when it cannot be read."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0


def proportional_bytes(pid: int) -> int:
    """Return the proportional set size: a page shared by n processes counts as 1/n.

    The kernel walks the whole address space for it (a millisecond or so), and tells it only to those who may
    trace the process. Where it does not, the resident set size has to do.
    """
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except (OSError, IndexError, ValueError):
        pass
    return resident_bytes(pid)


def processor_s(pid: int) -> float:
    """Return the processor time that a process has used, in seconds; 0 when it cannot be read."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS
    except (OSError, IndexError, ValueError):
        return 0.0
