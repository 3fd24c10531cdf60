"""The signals that stop: what is in flight, what is not, and what will not go."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from portway.server.signals import NOT_FOR_WORKERS
from tests.support.client import Client, ConnectionLost, get
from tests.support.load import Load
from tests.support.processes import Portway, is_alive, wait_for_end

KINDS = ("wsgi.py", "asgi.py")


@pytest.mark.parametrize("kind", KINDS)
def test_term_answers_what_is_in_flight_and_refuses_what_comes_after(kind: str) -> None:
    with Portway(kind, "--workers", "2") as server:
        server.ready()
        with Client(server.address) as client:
            client.request("/slow?1")
            get(server.address)  # by now the slow one has long been accepted
            server.send(signal.SIGTERM)
            server.wait_for("info: stopping gracefully")
            assert client.answer().status == 200
        assert server.exit_code() == 0
        server.wait_for("info: stopped")
        with pytest.raises(ConnectionRefusedError):
            get(server.address)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stop_under_load_cuts_no_answer(kind: str) -> None:
    with Portway(kind, "--workers", "2", "--max-age", "1000") as server:
        server.ready()
        with Load(server.address, keep_alive=6) as load:
            load.wait_for(100)
            assert server.stop() == 0
        assert {failure.partition(":")[0] for failure in load.failures} <= {"ConnectionRefusedError"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_int_and_quit_cut_what_is_in_flight(kind: str, number: signal.Signals) -> None:
    with Portway(kind) as server:
        server.ready()
        with Client(server.address) as client:
            client.request("/stream")
            client.sock.recv(1)
            assert server.stop(number) == 0
            with pytest.raises(ConnectionLost):
                client.answer()


@pytest.mark.parametrize("kind", KINDS)
def test_idle_connections_do_not_hold_up_a_stop(kind: str) -> None:
    with Portway(kind, "--graceful-timeout", "30") as server:
        server.ready()
        with Client(server.address) as idle, Client(server.address):
            idle.get()
            assert server.stop() == 0
            assert idle.rest() == b""


@pytest.mark.parametrize("kind", KINDS)
def test_an_endless_response_is_cut_at_the_graceful_timeout(kind: str) -> None:
    with Portway(kind, "--graceful-timeout", "0.5") as server:
        server.ready()
        with Client(server.address) as client:
            client.request("/stream")
            client.sock.recv(1)
            assert server.stop() == 0
            with pytest.raises(ConnectionLost):
                client.answer()


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_term_quickens(kind: str) -> None:
    with Portway(kind, "--graceful-timeout", "600") as server:
        server.ready()
        with Client(server.address) as client:
            client.request("/stream")
            client.sock.recv(1)
            server.send(signal.SIGTERM)
            server.wait_for("info: stopping gracefully")
            assert server.stop(signal.SIGTERM) == 0


def test_a_third_term_kills() -> None:
    with Portway("wsgi.py", "--threads", "1", "--graceful-timeout", "600") as server:
        (worker,) = server.ready().workers()
        with Client(server.address) as client:
            client.request("/slow?600")
            server.send(signal.SIGTERM)
            server.wait_for("info: stopping gracefully")
            server.send(signal.SIGTERM)
            server.wait_for("info: stopping quickly")
            assert server.stop(signal.SIGTERM) == 0
        assert not is_alive(worker)


def test_a_worker_that_ignores_term_is_killed() -> None:
    with Portway("wsgi.py", "--threads", "1", "--graceful-timeout", "0.1") as server:
        (worker,) = server.ready().workers()
        with Client(server.address) as client:
            client.request("/slow?600")
            server.send(signal.SIGTERM)
            server.wait_for(f"error: worker {worker} did not stop in time: killed")
        assert server.exit_code() == 0


def test_the_lifespan_ends_with_its_worker() -> None:
    with Portway("asgi.py", "--workers", "2") as server:
        workers = server.ready().workers()
        assert server.stop() == 0
        for worker in workers:
            server.wait_for(f"^lifespan of {worker} is over$")


def test_a_start_can_be_stopped(tmp_path: Path) -> None:
    slow = tmp_path / "slow_start.py"
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    slow.write_text(f"open({str(ready)!r}, 'w').close()\nimport threading\nthreading.Event().wait()\n")
    with Portway(str(slow)) as server:
        ready.read_bytes()  # the import has begun
        assert server.stop() == 0
        assert "error" not in server.log


@pytest.mark.parametrize("kind", KINDS)
def test_workers_of_a_killed_arbiter_finish_and_end(kind: str) -> None:
    with Portway(kind, "--workers", "2") as server:
        workers = server.ready().workers()
        with Client(server.address) as client:
            client.request("/slow?1")
            get(server.address)
            server.stop(signal.SIGKILL)
            assert client.answer().status == 200
        for worker in workers:
            wait_for_end(worker)
            server.wait_for(rf"\[{worker}\] error: the arbiter is gone")


def test_a_stuck_worker_of_a_killed_arbiter_ends_too() -> None:
    with Portway("wsgi.py", "--threads", "1", "--graceful-timeout", "0.1") as server:
        (worker,) = server.ready().workers()
        with Client(server.address) as client:
            client.request("/stuck")
            server.wait_for("^stuck$")
            server.stop(signal.SIGKILL)
            wait_for_end(worker)


def test_a_worker_that_is_still_starting_ends_with_its_arbiter(tmp_path: Path) -> None:
    slow = tmp_path / "slow_start.py"
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    slow.write_text(f"open({str(ready)!r}, 'w').close()\nimport threading\nthreading.Event().wait()\n")
    with Portway(str(slow)) as server:
        ready.read_bytes()
        (worker,) = server.workers()
        server.stop(signal.SIGKILL)
        wait_for_end(worker)


@pytest.mark.parametrize("number", NOT_FOR_WORKERS)
def test_a_worker_shrugs_off_signals_meant_for_the_arbiter(number: signal.Signals) -> None:
    with Portway("wsgi.py") as server:
        (worker,) = server.ready().workers()
        os.kill(worker, number)
        assert get(server.address).body == str(worker).encode()
        assert server.workers() == [worker]


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_stopped_by_hand_is_replaced(kind: str) -> None:
    with Portway(kind) as server:
        (worker,) = server.ready().workers()
        os.kill(worker, signal.SIGTERM)
        server.wait_for(rf"warning: worker {worker} ended \(exit 0\); starting another")
        assert get(server.address).body != str(worker).encode()
