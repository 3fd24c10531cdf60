"""How many processors there are to use, and so how many workers `auto` means."""

from __future__ import annotations

import os

from portway.config.worker_range import WorkerRange


def processors() -> int:
    """Return how many processors this process may use: its affinity and its control group's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()
        if quota != "max":
            count = min(count, -(-int(quota) // int(period)))
    except (OSError, ValueError):
        pass
    return max(1, count)


def bounds(workers: WorkerRange) -> tuple[int, int]:
    """Return the fewest and the most workers; `auto` goes up to the number of processors."""
    return workers.minimum, workers.maximum or max(workers.minimum, processors())
