"""Real forks under a clock that the test sets: deadlines, heartbeats, and what a child must not keep."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from portway.config import Settings
from portway.engine.counters import DRAINING, READY
from portway.server.assignment import QUICK_STOP_S, Assignment, BecomeChild, Shared
from portway.server.children import Generation, WorkerProcess
from portway.server.heartbeat import LIMIT_S, LONGEST_LOOK_S
from portway.server.listeners import Listener
from portway.server.logs import ErrorLog
from portway.server.messages import Ready
from portway.server.slots import Slots
from portway.server.workers import ABORT_S, SLOW_START_S, Workers


class Floor:
    """Workers whose children do what the test says, and whose time stands still."""

    def __init__(self, log: Path) -> None:
        self.now = 1000.0
        self.log = log
        self.closed_in_child = False
        self.shared = Shared(Settings(), ErrorLog(str(log)), None, None, [], Slots(4))
        self.generation = Generation(1, self.shared, target=1)
        self.workers = Workers(lambda: self.now, self._close_in_child, self._live, lambda _, orders: 0)

    def _close_in_child(self, keeps: Sequence[Listener]) -> None:
        self.closed_in_child = True

    def _live(self, assignment: Assignment) -> int:
        return int(bool(self.work(assignment)))

    def spawn(self, work: Callable[[Assignment], object]) -> WorkerProcess:
        """Fork a child that does some work and ends with what it returns."""
        slot = self.shared.slots.take()
        assert slot is not None
        self.work = work
        try:
            return self.workers.spawn(slot, self.generation)
        except BecomeChild as birth:
            try:
                os._exit(birth.life())
            finally:
                os._exit(99)

    def sleeper(self, *, deaf: bool = False) -> WorkerProcess:
        """Fork a child that says it is ready and then waits for a signal to end it."""

        def work(assignment: Assignment) -> None:
            # whatever the test process does about it
            signal.signal(signal.SIGTERM, signal.SIG_IGN if deaf else signal.SIG_DFL)
            assignment.channel.send(Ready("WSGI", ""))
            while True:
                signal.pause()

        worker = self.spawn(work)
        self.shared.slots[worker.slot].state = READY
        while worker.ready is None:
            for message in worker.channel.receive():
                assert isinstance(message, Ready)
                worker.ready = message
        return worker

    def end_of(self, worker: WorkerProcess) -> int:
        """Wait for a child's end; return its exit code as the arbiter sees it."""
        os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
        # children of other tests may have ended, too
        (status,) = [status for _, ended, status in self.workers.reap() if ended is worker]
        worker.channel.close()
        return status


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    """Workers that are all killed at the end."""
    made = Floor(tmp_path / "error.log")
    yield made
    for worker in made.workers.all():
        made.workers.kill(worker)
        made.end_of(worker)
    made.shared.slots.close()


def test_an_exit_code_and_a_signal_are_told_apart(floor: Floor) -> None:
    assert floor.end_of(floor.spawn(lambda assignment: True)) == 1
    worker = floor.sleeper()
    floor.workers.kill(worker)
    assert floor.end_of(worker) == -signal.SIGKILL
    assert len(floor.workers) == 0


def test_a_child_has_nothing_that_only_the_arbiter_may_have(floor: Floor) -> None:
    sibling = floor.sleeper()

    def work(assignment: Assignment) -> bool:
        return floor.closed_in_child and sibling.channel.fileno() == -1 and assignment.slot == 1

    assert floor.end_of(floor.spawn(work)) == 1
    assert not floor.closed_in_child


def test_a_child_has_the_default_signal_mask(floor: Floor) -> None:
    assert floor.end_of(floor.spawn(lambda assignment: not signal.pthread_sigmask(signal.SIG_BLOCK, []))) == 1
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_a_worker_told_to_stop_is_handed_nothing_more(floor: Floor) -> None:
    worker = floor.sleeper()
    floor.workers.stop(worker, quick=False)
    assert floor.shared.slots[worker.slot].state == DRAINING
    assert floor.workers.staying(floor.generation) == []
    assert floor.end_of(worker) == -signal.SIGTERM


def test_a_worker_that_does_not_stop_is_killed_after_the_graceful_timeout(floor: Floor) -> None:
    worker = floor.sleeper(deaf=True)
    floor.workers.stop(worker, quick=False)
    deadline = floor.now + floor.shared.settings.timeouts.graceful + QUICK_STOP_S
    assert floor.workers.next_deadline() == deadline
    floor.now = deadline - 0.1
    floor.workers.look_after()
    assert "killed" not in floor.log.read_text()
    floor.now = deadline
    floor.workers.look_after()
    assert floor.end_of(worker) == -signal.SIGKILL
    assert f"worker {worker.pid} did not stop in time: killed" in floor.log.read_text()


def test_being_told_again_never_moves_the_deadline_back(floor: Floor) -> None:
    worker = floor.sleeper(deaf=True)
    floor.workers.stop(worker, quick=False)
    floor.workers.stop(worker, quick=True)
    quick = floor.workers.next_deadline()
    assert quick == floor.now + QUICK_STOP_S
    floor.now += 1
    floor.workers.stop(worker, quick=False)
    assert floor.workers.next_deadline() == quick


def test_a_silent_worker_is_killed_and_one_that_beats_is_not(floor: Floor) -> None:
    silent, busy = floor.sleeper(), floor.sleeper()
    for beat in range(int(LIMIT_S / LONGEST_LOOK_S)):
        floor.now += LONGEST_LOOK_S
        floor.shared.slots[busy.slot].beat_ns = beat + 1
        floor.workers.look_after()
    floor.workers.look_after()
    assert floor.end_of(silent) == -signal.SIGABRT
    said = f"worker {silent.pid} has shown no sign of life for 60 s: killed"
    assert floor.log.read_text().count(said) == 1
    assert floor.workers.all() == [busy]


def test_a_slow_start_is_mentioned_once(floor: Floor) -> None:
    worker = floor.sleeper()
    worker.ready = None
    floor.now += SLOW_START_S
    for _ in range(3):
        floor.workers.look_after()
    assert floor.log.read_text().count(f"worker {worker.pid} has been starting for 30 s") == 1


def test_a_start_that_takes_too_long_is_killed(floor: Floor) -> None:
    worker = floor.sleeper()
    worker.ready = None
    deadline = floor.now + floor.shared.settings.timeouts.startup
    assert floor.workers.next_deadline() == deadline
    floor.now = deadline
    floor.workers.look_after()
    assert floor.end_of(worker) == -signal.SIGABRT
    assert worker.failure is not None
    assert worker.failure.text == f"worker {worker.pid} was not ready within 120 s (--startup-timeout)"


def test_a_stuck_worker_that_does_not_even_abort_is_killed(floor: Floor) -> None:
    worker = floor.sleeper()
    os.kill(worker.pid, signal.SIGSTOP)
    floor.workers.abort(worker)
    floor.now += ABORT_S - 0.1
    floor.workers.look_after()
    assert not worker.killed
    floor.now += 0.1
    floor.workers.look_after()
    assert floor.end_of(worker) == -signal.SIGKILL
    assert "did not stop in time" not in floor.log.read_text()


def test_orphans_are_reaped_and_forgotten(floor: Floor) -> None:
    stranger = os.fork()
    if stranger == 0:
        os._exit(7)
    os.waitid(os.P_PID, stranger, os.WEXITED | os.WNOWAIT)
    assert floor.workers.reap() == [(stranger, None, 7)]
    with pytest.raises(ChildProcessError):
        os.waitpid(stranger, 0)
