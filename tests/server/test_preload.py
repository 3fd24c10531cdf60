"""`--preload`: one import for each generation, and everything else as without."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.client import get
from tests.support.load import Load
from tests.support.processes import APPS, Portway, children, wait_for_end

KINDS = ("wsgi.py", "asgi.py")


def preloader(server: Portway, workers: list[int]) -> int:
    """Return the process id of the only child of an arbiter that is no worker."""
    (found,) = set(children(server.pid)) - set(workers)
    return found


def serving(server: Portway, count: int) -> list[int]:
    """Return the workers, found by asking until that many have answered."""
    seen: set[int] = set()
    while len(seen) < count:
        seen.add(int(get(server.address, "/pid").body))
    return sorted(seen)


@pytest.mark.parametrize("kind", KINDS)
def test_reloads_with_preload_lose_nothing_and_import_afresh(kind: str, tmp_path: Path) -> None:
    version = tmp_path / "version"
    version.write_text("1")
    app = f"versioned.py:{kind.partition('.')[0]}"
    with Portway(app, "--workers", "3", "--preload", env={"VERSION_FILE": str(version)}) as server:
        server.ready()
        with Load(server.address, keep_alive=4, fresh=2) as load:
            for number in (2, 3):
                old = children(server.pid)
                version.write_text(str(number))
                server.send(signal.SIGHUP)
                server.ready(number)
                load.wait_for_body(str(number), 50)
                for child in old:
                    wait_for_end(child)
                load.wait_for(50)
        assert load.failures == []
        assert len(children(server.pid)) == 4
        assert server.stop() == 0


@pytest.mark.parametrize("version", ["raise", "exit", "die"])
def test_an_import_that_fails_leaves_the_old_generation(version: str, tmp_path: Path) -> None:
    path = tmp_path / "version"
    path.write_text("1")
    with Portway("versioned.py:wsgi", "--preload", env={"VERSION_FILE": str(path)}) as server:
        old = server.ready().workers()
        path.write_text(version)
        server.send(signal.SIGHUP)
        server.wait_for("error: generation 2 cannot start; generation 1 keeps serving: ")
        assert get(server.address).body == b"1"
        assert set(old) <= set(children(server.pid))


def test_the_application_is_imported_once(tmp_path: Path) -> None:
    app = tmp_path / "counted.py"
    app.write_text(
        "import os, sys\n"
        "sys.stderr.write(f'imported by {os.getpid()}\\n')\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [str(os.getppid()).encode()]\n"
    )
    with Portway(str(app), "--workers", "4", "--preload") as server:
        importer = int(server.ready().wait_for(r"^imported by (\d+)$")[1])
        assert server.log.count("imported by") == 1
        assert importer in children(server.pid)
        assert get(server.address).body == str(server.pid).encode()  # the arbiter's own child


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_worker_comes_back_from_the_preloader(kind: str) -> None:
    with Portway(kind, "--workers", "2", "--preload") as server:
        server.ready()
        first, second = serving(server, 2)
        with Load(server.address, fresh=2) as load:
            load.wait_for(20)
            os.kill(first, signal.SIGKILL)
            server.wait_for(rf"warning: worker {first} ended \(SIGKILL\); starting another$")
            load.wait_until(lambda: set(load.bodies) - {str(first), str(second)}, "a new worker")
        assert len(load.failures) <= 2


def test_a_killed_preloader_comes_back_and_its_workers_go_on() -> None:
    with Portway("wsgi.py", "--workers", "2", "--preload") as server:
        server.ready()
        workers = serving(server, 2)
        old = preloader(server, workers)
        with Load(server.address, keep_alive=2, fresh=1) as load:
            load.wait_for(20)
            os.kill(old, signal.SIGKILL)
            server.wait_for(rf"warning: preloader {old} ended \(SIGKILL\); starting another")
            server.send(signal.SIGTTIN)
            load.wait_until(lambda: len(load.bodies) == 3, "a third worker")
        assert load.failures == []


def test_nothing_is_left_when_the_arbiter_is_killed() -> None:
    with Portway("wsgi.py", "--workers", "2", "--preload") as server:
        server.ready()
        everybody = children(server.pid)
        assert len(everybody) == 3
        server.stop(signal.SIGKILL)
        for child in everybody:
            wait_for_end(child)


def test_nothing_is_left_when_the_arbiter_is_killed_during_the_import(tmp_path: Path) -> None:
    slow = tmp_path / "slow_start.py"
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    slow.write_text(f"open({str(ready)!r}, 'w').close()\nimport threading\nthreading.Event().wait()\n")
    with Portway(str(slow), "--preload") as server:
        ready.read_bytes()
        (child,) = children(server.pid)
        server.stop(signal.SIGKILL)
        wait_for_end(child)


def test_an_import_that_hangs_is_given_up(tmp_path: Path) -> None:
    health = tmp_path / "health"
    health.write_text("200")
    app, env = f"{APPS / 'ready.py'}:wsgi", {"HEALTH_FILE": str(health)}
    with Portway(app, "--preload", cwd=tmp_path, env=env) as server:
        server.ready()
        (tmp_path / "portway.toml").write_text("startup-timeout = 1.5\n")
        health.write_text("import")
        server.send(signal.SIGHUP)
        server.wait_for(r"error: generation 2 .*: preloader \d+ was not ready within 1.5 s")
        assert get(server.address).status == 200


def test_threads_of_the_import_are_warned_of(tmp_path: Path) -> None:
    app = tmp_path / "threaded.py"
    app.write_text(
        "import threading\n"
        "threading.Thread(target=threading.Event().wait, name='poller', daemon=True).start()\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return []\n"
    )
    with Portway(str(app), "--preload") as server:
        server.wait_for(r"warning: the application started threads while it was imported \(poller\)")
        assert get(server.ready().address).status == 200


def test_an_interrupt_at_the_terminal_stops_in_order() -> None:
    with Portway("wsgi.py", "--workers", "2", "--preload") as server:
        server.ready()
        os.killpg(server.pid, signal.SIGINT)
        assert server.exit_code() == 0
        assert not [line for line in server.lines if " warning: " in line or " error: " in line]
