"""`--workers MIN:MAX`: the judgement under a clock that the test sets, and processes that really queue."""

from __future__ import annotations

import socket

import pytest

from portway.config.worker_range import WorkerCount, WorkerRange, spell_workers
from portway.server.processors import bounds, processors
from portway.server.scaling import (
    GROW_AFTER,
    GROW_COOL_S,
    SHRINK_AFTER,
    SHRINK_COOL_S,
    Reading,
    Scaler,
    accept_queue,
)
from tests.support.client import Client
from tests.support.load import Load
from tests.support.processes import Portway


class Day:
    """A scaler, the workers it got, and a second after the other."""

    def __init__(self, minimum: int, maximum: int) -> None:
        self.scaler = Scaler(minimum, maximum)
        self.workers = minimum
        self.now = 1000.0

    def pass_by(self, seconds: int, busy: float, queued: int = 0) -> list[int]:
        """Let time go by; return the numbers of workers that followed each other."""
        seen = [self.workers]
        for _ in range(seconds):
            self.now += 1
            self.workers = self.scaler.wanted(Reading(self.workers, busy, queued), self.now)
            if self.workers != seen[-1]:
                seen.append(self.workers)
        return seen


def test_one_busy_second_changes_nothing() -> None:
    day = Day(1, 8)
    for _ in range(10):
        assert day.pass_by(GROW_AFTER - 1, busy=1.0) == [1]
        assert day.pass_by(1, busy=0.5) == [1]


@pytest.mark.parametrize(("busy", "queued"), [(0.81, 0), (0.0, 1)])
def test_it_grows_step_by_step_up_to_the_most(busy: float, queued: int) -> None:
    day = Day(1, 6)
    assert day.pass_by(100, busy, queued) == [1, 2, 3, 4, 5, 6]


def test_more_workers_grow_by_a_quarter() -> None:
    assert Day(8, 16).pass_by(60, busy=1.0) == [8, 10, 12, 15, 16]


def test_it_cools_down_after_growing() -> None:
    day = Day(1, 8)
    assert day.pass_by(GROW_AFTER, busy=1.0) == [1, 2]
    assert day.pass_by(int(GROW_COOL_S) - 1, busy=1.0) == [2]
    assert day.pass_by(1, busy=1.0) == [2, 3]


def test_it_shrinks_slowly_and_not_below_the_least() -> None:
    day = Day(2, 8)
    day.pass_by(100, busy=1.0)
    assert day.workers == 8
    assert day.pass_by(SHRINK_AFTER - 1, busy=0.0) == [8]
    assert day.pass_by(1, busy=0.0) == [8, 7]
    assert day.pass_by(int(SHRINK_COOL_S) - 1, busy=0.0) == [7]
    assert day.pass_by(1000, busy=0.0)[-1] == 2


def test_it_does_not_shrink_when_the_others_would_be_busy() -> None:
    day = Day(1, 2)
    day.pass_by(10, busy=1.0)
    assert day.pass_by(1000, busy=0.26) == [2]  # one alone would be 52 % busy
    assert day.pass_by(1000, busy=0.24) == [2, 1]


def test_one_moment_of_queueing_starts_the_wait_anew() -> None:
    day = Day(1, 2)
    day.pass_by(10, busy=1.0)
    for _ in range(5):
        assert day.pass_by(SHRINK_AFTER - 1, busy=0.0) == [2]
        assert day.pass_by(1, busy=0.0, queued=1) == [2]


def test_below_the_least_it_goes_there_at_once() -> None:
    day = Day(4, 8)
    day.workers = 2
    assert day.pass_by(1, busy=0.0) == [2, 4]


def test_auto_is_the_number_of_processors() -> None:
    assert bounds(WorkerRange(1, 0)) == (1, processors())
    assert bounds(WorkerRange(3, 7)) == (3, 7)
    assert spell_workers(WorkerCount(512).from_text("auto")) == "auto"


@pytest.mark.parametrize("text", ["4", "2:8", "auto"])
def test_a_range_is_written_as_it_is_read(text: str) -> None:
    assert spell_workers(WorkerCount(512).from_text(text)) == text


def test_the_accept_queue_is_counted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert accept_queue(listener) == 0
        with Client(listener.getsockname()[:2]), Client(listener.getsockname()[:2]):
            assert accept_queue(listener) == 2
    assert accept_queue(listener) == 0


def test_a_server_that_queues_grows_and_loses_nothing() -> None:
    with Portway("wsgi.py", "--workers", "1:3", "--threads", "1") as server:
        server.ready()
        with Load(server.address, keep_alive=2, fresh=4, path="/slow?0.05") as load:
            server.wait_for(r"info: scaling to 2 workers: \d+% busy, \d+ waiting")
            load.wait_until(lambda: len(load.bodies) >= 2, "a second worker")
        assert load.failures == []
        assert server.stop() == 0
