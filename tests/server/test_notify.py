"""What systemd is told, over a real datagram socket."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from portway.server.notify import NEVER, Notifier
from tests.support.processes import DEADLINE_S, Portway


class Manager:
    """The service manager's end. It hears messages and keeps those that were not asked for."""

    def __init__(self, address: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(("\0" + address[1:]) if address.startswith("@") else address)
        self.sock.settimeout(DEADLINE_S)
        self.address = address

    def next(self) -> dict[str, str]:
        """Wait for the next message."""
        fields = (line.partition("=") for line in self.sock.recv(4096).decode().split("\n"))
        return {name: value for name, _, value in fields}

    def until(self, field: str) -> dict[str, str]:
        """Wait for the next message that has a field."""
        while field not in (message := self.next()):
            pass
        return message


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    """A service manager's socket, of both kinds."""
    where = str(tmp_path / "notify") if request.param == "path" else f"@portway-notify-{os.getpid()}"
    manager = Manager(where)
    yield manager
    manager.sock.close()


@pytest.mark.parametrize("app", ["wsgi.py", "asgi.py"])
def test_a_life_from_ready_to_stopping(manager: Manager, app: str) -> None:
    env = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "600000"}
    with Portway(app, "--workers", "2", env=env) as server:
        ready = manager.until("READY")
        assert (ready["READY"], ready["MAINPID"]) == ("1", str(server.pid))
        assert ready["STATUS"] == "2 workers ready, generation 1"
        server.ready()
        assert manager.until("WATCHDOG")["WATCHDOG"] == "1"
        server.send(signal.SIGHUP)
        reloading = manager.until("RELOADING")
        assert int(reloading["MONOTONIC_USEC"]) > 0
        assert "generation 2" in manager.until("READY")["STATUS"]
        server.send(signal.SIGTERM)
        assert manager.until("STOPPING")["STATUS"] == "stopping gracefully"
        assert server.exit_code() == 0


def test_workers_do_not_inherit_the_line(manager: Manager) -> None:
    with Portway("wsgi.py", env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "5000000"}) as server:
        (worker,) = server.ready().workers()
        environ = Path(f"/proc/{worker}/fd")
        inodes = [os.readlink(link) for link in environ.iterdir()]
        ours = [os.readlink(link) for link in Path(f"/proc/{server.pid}/fd").iterdir()]
        manager_line = [
            line.split()[6]
            for line in Path("/proc/net/unix").read_text().splitlines()[1:]
            if line.split()[4] == "0002" and f"socket:[{line.split()[6]}]" in ours
        ]
        assert manager_line
        assert not [inode for inode in manager_line if f"socket:[{inode}]" in inodes]


def test_a_failed_reload_ends_the_reloading_state(manager: Manager, tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text("def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'']\n")
    with Portway(str(app), env={"NOTIFY_SOCKET": manager.address}) as server:
        manager.until("READY")
        server.ready()
        app.write_text("raise RuntimeError('broken')\n")
        server.send(signal.SIGHUP)
        manager.until("RELOADING")
        assert "generation 1" in manager.until("READY")["STATUS"]


def test_the_watchdog_beats_at_half_time_and_only_when_all_is_well(manager: Manager) -> None:
    now = 100.0
    environ = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "7"}
    notifier = Notifier(environ, 7, lambda: now)
    assert environ == {}
    notifier.beat(True)
    assert manager.next() == {"WATCHDOG": "1"}
    assert notifier.next_due() == 105.0
    now = 104.9
    notifier.beat(True)
    now = 105.0
    notifier.beat(False)
    now = 110.0
    notifier.beat(True)
    assert manager.next() == {"WATCHDOG": "1"}
    notifier.tell("ready", "fine")
    assert manager.next() == {"READY": "1", "MAINPID": "7", "STATUS": "fine"}
    manager.sock.setblocking(False)
    notifier.tell("ready", "fine")
    with pytest.raises(BlockingIOError):
        manager.next()
    notifier.close()
    notifier.close()
    notifier.tell("stopping", "")
    assert notifier.next_due() == NEVER


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"NOTIFY_SOCKET": "/nowhere/at/all"},
        {"NOTIFY_SOCKET": "relative"},
        {"NOTIFY_SOCKET": "@" + "x" * 300},
        {"WATCHDOG_USEC": "1000000"},
        {"WATCHDOG_USEC": "soon", "NOTIFY_SOCKET": ""},
    ],
)
def test_without_a_manager_nothing_happens(environ: dict[str, str]) -> None:
    notifier = Notifier(environ, 1)
    notifier.tell("ready", "")
    notifier.beat(True)
    assert notifier.next_due() == NEVER or "NOTIFY_SOCKET" in environ
    notifier.close()
