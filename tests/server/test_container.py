"""Process 1 of a container: orphans, signals, and children that are nobody's workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.client import get
from tests.support.load import Load
from tests.support.processes import COMMAND, Portway, children, is_alive, wait_for_end
from tests.support.waiting import wait_until

APP = """
import os
import subprocess

def app(environ, start_response):
    match environ["PATH_INFO"]:
        case "/orphan":  # a grandchild that outlives its parent, and ends
            body = subprocess.check_output(["sh", "-c", "true & echo $!"])
        case "/daemon":  # one that stays
            body = subprocess.check_output(["sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!"])
        case _:
            body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
"""


class Strays:
    """A server whose application leaves processes behind."""

    def __init__(self, directory: Path) -> None:
        self.app = directory / "strays.py"
        self.app.write_text(APP)


@pytest.fixture
def strays(tmp_path: Path) -> Strays:
    """Its application, written down."""
    return Strays(tmp_path)


def test_strays_are_reaped_and_never_taken_for_workers(strays: Strays) -> None:
    with Portway(str(strays.app), "--preload", "--workers", "2") as server:  # a subreaper, as process 1 is
        server.ready()
        daemons = []
        with Load(server.address, keep_alive=1, path="/orphan") as load:
            load.wait_for(20)
            daemons = [int(get(server.address, "/daemon").body) for _ in range(3)]
            load.wait_for(20)
            server.send(signal.SIGHUP)
            server.ready(2)
            load.wait_for(20)
        assert load.failures == []
        worker = int(get(server.address).body)
        os.kill(worker, signal.SIGKILL)
        server.wait_for(rf"warning: worker {worker} ended \(SIGKILL\); starting another")
        get(server.address)
        for daemon in daemons:
            os.kill(daemon, signal.SIGKILL)
            wait_for_end(daemon)
        assert server.stop() == 0
        assert server.log.count(" warning: ") == 1
        assert " error: " not in server.log


def test_as_process_1_it_obeys_every_signal_and_leaves_no_zombie(strays: Strays) -> None:
    """In a pid namespace of its own; the kernel drops signals for process 1 that it has no handler for."""
    unshare = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        unshare = ["unshare", "--pid", "--fork", "--kill-child"]
        if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
            pytest.skip("needs a pid namespace")
    command = [*unshare, *COMMAND, "serve", str(strays.app), "--bind", "127.0.0.1:0"]
    with Portway("", bind=False, command=command) as outside:
        outside.ready()
        outside.wait_for(r"\[1\] info: serving .* pid 1$")
        (arbiter,) = children(outside.pid)
        for _ in range(5):
            get(outside.address, "/orphan")
        for number, said in (
            (signal.SIGTTIN, "2 workers wanted"),
            (signal.SIGTTOU, "1 worker wanted"),
            (signal.SIGUSR1, None),
            (signal.SIGHUP, "reload: starting generation 2"),
        ):
            os.kill(arbiter, number)
            if said:
                outside.wait_for(said)
        outside.ready(2)
        get(outside.address, "/orphan")
        zombies = [child for child in all_children(arbiter) if not is_alive(child)]
        assert len(zombies) <= 1  # the last one may not have been reaped yet
        os.kill(arbiter, signal.SIGTERM)
        outside.wait_for("info: stopped")
        outside.exit_code()


def all_children(pid: int) -> list[int]:
    """Return a process's children, zombies too."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_signals_that_were_blocked_before_the_start_arrive(strays: Strays) -> None:
    program = (
        "import os, signal, sys\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD})\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    )
    command = [sys.executable, "-c", program, *COMMAND, "serve", str(strays.app), "--bind", "127.0.0.1:0"]
    with Portway("", bind=False, command=command) as server:
        server.ready().send(signal.SIGHUP)
        server.ready(2)
        assert server.stop() == 0


def test_nothing_grows_over_many_reloads() -> None:
    with Portway("wsgi.py", "--workers", "2", "--preload") as server:
        server.ready()
        counts = []
        for number in range(2, 8):
            old = children(server.pid)
            server.send(signal.SIGHUP)
            server.ready(number)
            for child in old:
                wait_for_end(child)
            get(server.address)
            counts.append(descriptors(server))
        wait_until(lambda: descriptors(server) <= min(counts), f"fewer descriptors than {counts}")
        assert len(children(server.pid)) == 3


def descriptors(server: Portway) -> int:
    """Return how many the arbiter has."""
    return len(os.listdir(f"/proc/{server.pid}/fd"))
