"""Durations as the engine counts them: quantiles and buckets out of a histogram of the shared board."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portway.engine.counters import bucket_limit

if TYPE_CHECKING:
    from portway.engine.counters import Histogram

LIMITS_US = tuple(bucket_limit(bucket) for bucket in range(128))
"""Where each bucket ends, in microseconds; four buckets for each power of two, so at most 25 % wide."""

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}

Sparse = list[tuple[int, int]]
"""Limit in microseconds and count of each bucket that has any."""


def sparse(histogram: Histogram) -> Sparse:
    """Return the buckets that are not empty."""
    return [(limit, count) for limit, count in zip(LIMITS_US, histogram[1], strict=True) if count]


def quantile_us(buckets: Sparse, share: float) -> int:
    """Return the duration that this share stayed below, rounded up to a bucket's limit; 0 for none."""
    wanted = share * sum(count for _, count in buckets)
    seen = 0
    for limit, count in buckets:
        seen += count
        if seen >= wanted:
            return limit
    return 0


def since(now: Sparse, before: Sparse) -> Sparse:
    """Return what has been added between two readings of one histogram."""
    old = dict(before)
    return [(limit, count - old.get(limit, 0)) for limit, count in now if count > old.get(limit, 0)]


def added(histograms: list[Histogram]) -> Histogram:
    """Return the sum of histograms."""
    counts = [sum(column) for column in zip(*(buckets for _, buckets in histograms), strict=True)]
    return sum(total for total, _ in histograms), counts
