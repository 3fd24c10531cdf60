"""Workers replaced by their requests, memory and age: one at a time, the replacement first, nothing lost."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable

import pytest

from portway.config import Settings
from portway.config.settings import Recycle
from portway.server.assignment import Shared
from portway.server.children import Generation, Limits, WorkerProcess
from portway.server.heartbeat import Heartbeat
from portway.server.logs import ErrorLog
from portway.server.memory import proportional_bytes, resident_bytes
from portway.server.messages import Channel
from portway.server.recycling import limits_for, recycles, why_recycle
from portway.server.slots import Slots
from tests.support.client import Client, get
from tests.support.load import Load
from tests.support.processes import Portway, wait_for_end
from tests.support.waiting import wait_until

KINDS = ("wsgi.py", "asgi.py")
MIB = 1 << 20


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit", ["--max-requests=200", "--max-age=0.5", "--max-memory=1"])
def test_recycling_under_load_loses_nothing(kind: str, limit: str) -> None:
    with Portway(kind, "--workers", "2", limit) as server:
        old = server.ready().workers()
        with Load(server.address, keep_alive=4, fresh=2) as load:
            for worker in old:
                server.wait_for(rf"info: worker {worker} is replaced: .* \({limit.partition('=')[0]}\)$")
            for worker in old:
                wait_for_end(worker)
            load.wait_for(50)
        assert load.failures == []
        assert not [line for line in server.lines if " warning: " in line or " error: " in line]
        assert server.stop() == 0


def test_the_replacement_is_ready_before_the_old_one_goes() -> None:
    with Portway("wsgi.py", "--workers", "1", "--max-requests", "1") as server:
        (old,) = server.ready().workers()
        with Client(server.address) as client:
            assert client.get().body == str(old).encode()
            server.wait_for(f"info: worker {old} is replaced")
            wait_for_end(old)
            new = int(client.get().body)  # on the same connection
        assert new != old


def test_a_response_under_way_is_finished_by_the_one_that_goes() -> None:
    with Portway("wsgi.py", "--max-requests", "1") as server:
        (old,) = server.ready().workers()
        with Client(server.address) as slow:
            slow.request("/slow?2.5")
            get(server.address)
            server.wait_for(f"info: worker {old} is replaced")
            answer = slow.answer()
            assert (answer.status, answer.body) == (200, str(old).encode())
        wait_for_end(old)


def test_one_that_dies_while_it_is_replaced_is_not_replaced_twice() -> None:
    with Portway("wsgi.py", "--max-requests", "1", "--graceful-timeout", "60") as server:
        (old,) = server.ready().workers()
        with Client(server.address) as slow:
            slow.request("/slow?60")
            get(server.address)
            server.wait_for(f"info: worker {old} is replaced")
            os.kill(old, signal.SIGKILL)
        wait_for_end(old)
        get(server.address)
        # this request, too, has had its worker replaced
        wait_until(lambda: len(server.workers()) == 1, "single worker")
        assert "starting another" not in server.log


def test_a_replacement_that_cannot_start_leaves_the_old_one_serving(tmp_path: object) -> None:
    version = str(tmp_path) + "/version"

    def deploy(text: str) -> None:
        with open(version, "w") as file:
            file.write(text)

    deploy("1")
    with Portway("versioned.py:wsgi", "--max-requests", "1", env={"VERSION_FILE": version}) as server:
        (old,) = server.ready().workers()
        deploy("raise")
        with Load(server.address, keep_alive=1, fresh=1) as load:
            server.wait_for(r"error: worker \d+ cannot start: .*broken on purpose; starting another in")
            assert old in server.workers()
            deploy("2")
            load.wait_for_body("2", 5)
        assert load.failures == []


@pytest.fixture
def worker() -> WorkerProcess:
    """One that is this process, in slot 0."""
    slots = Slots(1)
    shared = Shared(Settings(), ErrorLog("-"), None, None, [], slots)
    slots.close()
    ours, theirs = Channel.pair()
    ours.close()
    theirs.close()
    return WorkerProcess(
        pid=os.getpid(),
        generation=Generation(1, shared, target=1),
        channel=ours,
        born=100.0,
        slot=0,
        beats=Heartbeat(100.0),
    )


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (Limits(), ""),
        (Limits(requests=1), ""),
        (Limits(requests=0), "it has had 0 requests (--max-requests)"),
        (Limits(age_at=200.5), ""),
        (Limits(age_at=200.0), "it has run for 100 s (--max-age)"),
        (Limits(memory=1 << 50), ""),
    ],
)
def test_why(worker: WorkerProcess, limits: Limits, why: str) -> None:
    worker.limits = limits
    assert why_recycle(worker, 200.0) == why


def test_memory_is_said_and_measured(worker: WorkerProcess) -> None:
    worker.limits = Limits(memory=MIB)
    assert why_recycle(worker, 200.0).endswith("of memory (--max-memory)")
    assert MIB < proportional_bytes(os.getpid()) <= resident_bytes(os.getpid())
    assert proportional_bytes(2**22 + 1) == resident_bytes(2**22 + 1) == 0  # no such process


def test_one_that_is_not_ready_has_no_limits(worker: WorkerProcess) -> None:
    assert why_recycle(worker, 1e9) == ""


@pytest.mark.parametrize(
    ("share", "requests", "age_at"), [(0.0, 100, 60.0), (0.5, 110, 65.0), (1.0, 120, 70.0)]
)
def test_jitter_adds_a_share(share: float, requests: int, age_at: float) -> None:
    settings = Settings(recycle=Recycle(requests=100, requests_jitter=20, age=50.0, age_jitter=10.0))
    same: Callable[[], float] = lambda: share  # noqa: E731
    assert limits_for(settings, 10.0, same) == Limits(requests, math.inf, age_at)


def test_nothing_set_is_no_limit() -> None:
    settings = Settings(recycle=Recycle(requests_jitter=20, age_jitter=10.0, memory_jitter=5))
    assert not recycles(settings)
    assert limits_for(settings, 10.0) == Limits()
