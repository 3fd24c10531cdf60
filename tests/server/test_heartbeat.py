"""How long a silent worker has been silent, in the time that the arbiter was there to see."""

from __future__ import annotations

from portway.server.heartbeat import LIMIT_S, LONGEST_LOOK_S, Heartbeat


def test_silence_adds_up_until_the_next_beat() -> None:
    heartbeat = Heartbeat(now=0.0)
    assert heartbeat.silence(1, 5.0) == 0.0
    assert heartbeat.silence(1, 10.0) == 5.0
    assert heartbeat.silence(1, 15.0) == 10.0
    assert heartbeat.silence(2, 20.0) == 0.0


def test_a_frozen_arbiter_does_not_blame_its_workers() -> None:
    heartbeat = Heartbeat(now=0.0)
    heartbeat.silence(1, 5.0)
    assert heartbeat.silence(1, 100_000.0) == LONGEST_LOOK_S < LIMIT_S


def test_a_clock_that_jumps_back_adds_nothing() -> None:
    heartbeat = Heartbeat(now=100.0)
    heartbeat.silence(1, 105.0)
    assert heartbeat.silence(1, 50.0) == 0.0


def test_a_worker_that_never_beat_is_silent_from_its_birth() -> None:
    heartbeat = Heartbeat(now=0.0)
    silent = [heartbeat.silence(0, float(second)) for second in range(5, 70, 5)]
    assert silent[-1] >= LIMIT_S
