"""The shared board: durations in buckets, and counts that outlive the worker which made them."""

from __future__ import annotations

import os
from itertools import pairwise

from portway.engine.counters import READY, Board, bucket_limit
from portway.server.histogram import LIMITS_US, quantile_us, since, sparse


def test_buckets_follow_each_other_and_are_at_most_a_quarter_wide() -> None:
    assert list(LIMITS_US[:6]) == [1, 2, 3, 4, 5, 6]
    assert sorted(set(LIMITS_US)) == list(LIMITS_US)
    assert all(after <= before * 1.25 for before, after in pairwise(LIMITS_US[3:]))
    assert bucket_limit(127) == 2**33


def test_a_free_line_is_not_read() -> None:
    board = Board(3)
    board.slot(1).state = READY
    gone, lines = board.read()
    assert list(lines) == [1]
    assert lines[1]["state"] == READY
    assert gone["requests"] == 0
    assert sum(gone["latency"][1]) == 0


def test_a_line_is_shared_with_a_fork() -> None:
    board = Board(2)
    child = os.fork()
    if child == 0:
        board.slot(1).state = READY
        os._exit(0)
    os.waitpid(child, 0)
    assert board.slot(1).state == READY


def test_quantiles_are_limits_of_buckets() -> None:
    counts = [0] * 128
    counts[0], counts[10], counts[127] = 90, 9, 1
    buckets = sparse((0, counts))
    assert quantile_us(buckets, 0.5) == 1
    assert quantile_us(buckets, 0.99) == bucket_limit(10)
    assert quantile_us(buckets, 0.999) == bucket_limit(127)
    assert quantile_us([], 0.99) == 0


def test_the_difference_of_two_readings() -> None:
    assert since([(1, 5), (4, 2), (9, 1)], [(1, 3), (4, 2)]) == [(1, 2), (9, 1)]
