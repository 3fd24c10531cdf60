"""Workers that die, come back, become more and fewer; logs that are rotated."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.client import Client, ConnectionLost, get
from tests.support.load import Load
from tests.support.processes import APPS, COMMAND, Portway, wait_for_end

KINDS = ("wsgi.py", "asgi.py")


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_worker_is_replaced_and_the_others_lose_nothing(kind: str) -> None:
    with Portway(kind, "--workers", "3") as server:
        first, *others = server.ready().workers()
        with Load(server.address, fresh=3) as load:
            load.wait_for(50)
            os.kill(first, signal.SIGKILL)
            server.wait_for(rf"warning: worker {first} ended \(SIGKILL\); starting another$")
            load.wait_until(lambda: set(load.bodies) - {str(first), *map(str, others)}, "a new worker")
            load.wait_for(50)
        # one request at most was inside the killed worker for each client
        assert len(load.failures) <= 3
        assert set(others) <= set(server.workers())
        assert len(server.workers()) == 3


def test_a_worker_that_keeps_dying_is_started_later_and_later() -> None:
    with Portway("wsgi.py") as server:
        server.ready()
        for _ in range(2):
            with Client(server.address) as client, pytest.raises(ConnectionLost):
                client.get("/die")
        server.wait_for(r"ended \(SIGKILL\); starting another$")
        server.wait_for(r"ended \(SIGKILL\); starting another in 0\.5 s")
        assert get(server.address).status == 200  # waits in the backlog for the next worker


def test_a_worker_that_cannot_start_later_does_not_end_the_others(tmp_path: Path) -> None:
    version = tmp_path / "version"
    version.write_text("1")
    with Portway("versioned.py:wsgi", "--workers", "2", env={"VERSION_FILE": str(version)}) as server:
        first, second = server.ready().workers()
        version.write_text("raise")
        os.kill(first, signal.SIGKILL)
        server.wait_for(r"error: worker \d+ cannot start: .*broken on purpose; starting another in 0\.5 s")
        server.wait_for("^    RuntimeError: broken on purpose")
        assert second in server.workers()
        assert get(server.address).body == b"1"
        version.write_text("2")
        with Load(server.address, fresh=1) as load:
            load.wait_for_body("2")
        assert load.failures == []


@pytest.mark.parametrize("kind", KINDS)
def test_ttin_and_ttou_add_and_remove_a_worker(kind: str) -> None:
    with Portway(kind) as server:
        (first,) = server.ready().workers()
        with Load(server.address, fresh=2) as load:
            server.send(signal.SIGTTIN)
            server.wait_for("info: 2 workers wanted")
            load.wait_until(lambda: len(load.bodies) == 2, "a second worker")
            (second,) = set(server.workers()) - {first}
            server.send(signal.SIGTTOU)
            server.wait_for("info: 1 worker wanted")
            wait_for_end(second)
            server.send(signal.SIGTTOU)
            server.wait_for("warning: cannot go to 0 workers")
            load.wait_for(20)
        assert load.failures == []
        assert server.workers() == [first]


@pytest.mark.parametrize("kind", KINDS)
def test_usr1_follows_rotated_logs_everywhere(kind: str, tmp_path: Path) -> None:
    errors, access = tmp_path / "error.log", tmp_path / "access.log"
    with Portway(
        kind, "--error-log", str(errors), "--access-log", str(access), "--bind", f"unix:{tmp_path}/s"
    ) as server:
        with Client(await_socket(server.process, tmp_path / "s")) as client:
            client.get("/before")
            errors.rename(tmp_path / "error.log.1")
            access.rename(tmp_path / "access.log.1")
            server.send(signal.SIGUSR1)
            server.send(signal.SIGTTIN)  # answered in the log after the one above
            number = 0
            while not (access.exists() and "/after" in access.read_text()):
                client.get(f"/after{number}")
                number += 1
            assert server.stop() == 0
    assert "/before" in (tmp_path / "access.log.1").read_text()
    assert "stopped" in errors.read_text()


def await_socket(process: subprocess.Popen[str], path: Path) -> str:
    """Return the path of a server's socket once it answers; for a server whose log cannot be read here."""
    while process.poll() is None:
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError), Client(str(path)):
            return str(path)
    raise AssertionError(f"the server ended with exit code {process.returncode}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_under_the_logs_does_not_stop_serving(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    arguments = ("--error-log", "/dev/full", "--access-log", "/dev/full", "--bind", f"unix:{path}")
    with Portway(kind, *arguments) as server, Client(await_socket(server.process, path)) as client:
        for _ in range(10):
            assert client.get().status == 200
            assert client.get("/raise").status == 500
        assert server.stop() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_application_raises_is_logged_with_its_request(kind: str) -> None:
    with Portway(kind) as server:
        server.ready()
        assert get(server.address, "/raise").status == 500
        server.wait_for("error: the application failed at GET /raise$")
        server.wait_for("^    ValueError: raised on purpose$")


def test_a_server_without_standard_streams_serves(tmp_path: Path) -> None:
    path = tmp_path / "s"
    command = [*COMMAND, "serve", str(APPS / "wsgi.py"), "--bind", f"unix:{path}"]
    with subprocess.Popen(["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", *command], text=True) as process:
        try:
            with Client(await_socket(process, path)) as client:
                assert client.get("/raise").status == 500
                assert client.get().status == 200
        finally:
            process.terminate()
    assert process.returncode == 0
