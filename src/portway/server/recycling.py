"""Recycling: which worker has served long enough, by its requests, its memory or its age, or is stuck.

Looked at once a second, one worker at a time: another one is started, and the old one drains when that
one is ready. So a limit is where replacing begins, not a number that is never exceeded.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable

from portway.config import Settings
from portway.config.amounts import spell_size
from portway.server.children import Limits, WorkerProcess
from portway.server.memory import proportional_bytes, resident_bytes

Share = Callable[[], float]
"""Returns a number from 0 to 1."""


def random_share() -> float:
    """Return a random number from 0 to 1. The random module would cost the arbiter some milliseconds."""
    return int.from_bytes(os.urandom(4)) / 0xFFFFFFFF


def recycles(settings: Settings) -> bool:
    """Tell whether any limit is set."""
    recycle = settings.recycle
    return bool(recycle.requests or recycle.memory or recycle.age)


def limits_for(settings: Settings, now: float, share: Share = random_share) -> Limits:
    """Return the limits of one worker, each with its own part of the jitter.

    Args:
        settings: The configuration of its generation.
        now: Monotonic seconds.
        share: Random numbers.
    """
    recycle = settings.recycle

    def limit(least: float, jitter: float) -> float:
        return least + jitter * share() if least else math.inf

    return Limits(
        requests=limit(recycle.requests, recycle.requests_jitter),
        memory=limit(recycle.memory, recycle.memory_jitter),
        age_at=now + limit(recycle.age, recycle.age_jitter),
    )


def why_recycle(worker: WorkerProcess, now: float) -> str:
    """Return why a worker is to be replaced, or "" when it is not.

    Args:
        worker: A worker that is ready.
        now: Monotonic seconds.
    """
    if worker.stuck:
        return f"it cannot end {worker.stuck} (--timeout)"
    limits = worker.limits
    if limits is None:
        return ""
    requests = worker.generation.shared.slots[worker.slot].requests
    if requests >= limits.requests:
        return f"it has had {requests} requests (--max-requests)"
    if now >= limits.age_at:
        return f"it has run for {now - worker.born:.0f} s (--max-age)"
    # What is shared is resident in every worker: the cheap figure says when the exact one is worth its price.
    if limits.memory < math.inf and resident_bytes(worker.pid) >= limits.memory:
        memory = proportional_bytes(worker.pid)
        if memory >= limits.memory:
            return f"it has {spell_size(memory // 1024 * 1024)} of memory (--max-memory)"
    return ""
