"""Calls with a time limit: what comes back, what is given up, and what is left running."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from portway.awslambda.front.calling import Deadline, TookTooLong, TooManyOverdue
from tests.support.waiting import wait_until

DEADLINE_S = 20.0
SOON_S = 0.02


def test_a_result_and_an_error_come_back() -> None:
    deadline = Deadline(DEADLINE_S)
    assert deadline.call(lambda: 7) == 7
    for error in (ValueError("x"), SystemExit(3), KeyboardInterrupt()):

        def fail(error: BaseException = error) -> None:
            raise error

        with pytest.raises(type(error)):
            deadline.call(fail)
    assert deadline.call(lambda: 8) == 8


def test_a_thread_is_used_again() -> None:
    deadline = Deadline(DEADLINE_S)
    first = deadline.call(threading.get_ident)
    assert first != threading.get_ident()
    assert [deadline.call(threading.get_ident) for _ in range(5)] == [first] * 5


def test_what_takes_too_long_goes_on_and_its_thread_comes_back() -> None:
    deadline = Deadline(SOON_S)
    go, gone = threading.Event(), threading.Event()

    def slow() -> None:
        go.wait(DEADLINE_S)
        gone.set()

    with pytest.raises(TookTooLong):
        deadline.call(slow)
    assert deadline.overdue == 1
    go.set()
    assert gone.wait(DEADLINE_S)
    wait_until(lambda: not deadline.overdue, "thread that comes back")
    assert Deadline(DEADLINE_S).call(lambda: 1) == 1


def test_no_more_than_so_many_are_left_running() -> None:
    deadline = Deadline(SOON_S, most_overdue=2)
    go = threading.Event()
    try:
        for _ in range(2):
            with pytest.raises(TookTooLong):
                deadline.call(lambda: go.wait(DEADLINE_S))
        called: list[int] = []
        with pytest.raises(TooManyOverdue):
            deadline.call(lambda: called.append(1))
        assert called == []
    finally:
        go.set()
    wait_until(lambda: not deadline.overdue, "threads that come back")

    def answers() -> bool:
        try:
            return deadline.call(lambda: 9) == 9
        except (TookTooLong, TooManyOverdue):  # so short a time is up at once on a machine that stands still
            return False

    wait_until(answers, "call that is made again")


def test_many_threads_call_at_once() -> None:
    deadline = Deadline(DEADLINE_S)
    found: list[int] = []

    def work(number: int) -> None:
        for step in range(200):
            assert deadline.call(partial(int, number * 1000 + step)) == number * 1000 + step
        found.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert sorted(found) == list(range(8))
