"""SIGUSR2 and SIGWINCH: another arbiter on the same sockets, under continuous load."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from portway.server.upgrade import VARIABLE, inherit
from tests.support.client import Address, Client, get
from tests.support.load import Load
from tests.support.processes import Portway, children, is_alive, wait_for_end
from tests.support.waiting import wait_until

KINDS = ("wsgi.py", "asgi.py")


@contextmanager
def upgraded(server: Portway, count: int = 1) -> Iterator[int]:
    """Send SIGUSR2; yield the new arbiter's process id once it serves, and end it afterwards."""
    server.send(signal.SIGUSR2)
    new = int(server.wait_for(r"info: upgrade: started the arbiter (\d+)", count=count)[1])
    try:
        server.wait_for(rf"\[{new}\] info: serving ")
        os.kill(new, signal.SIGTTOU)  # when it has turned this down, it has told the old one that it serves
        server.wait_for(rf"\[{new}\] (warning: cannot go to 0 workers|info: 1 worker wanted)")
        yield new
    finally:
        if is_alive(new):
            os.kill(new, signal.SIGTERM)
            wait_for_end(new)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unix", [False, True])
def test_an_upgrade_under_load_loses_nothing(kind: str, unix: bool, tmp_path: Path) -> None:
    path, pid = tmp_path / "s", tmp_path / "pid"
    bind = ("--bind", f"unix:{path}") if unix else ()
    with Portway(kind, "--workers", "2", "--pid", str(pid), *bind) as server:
        server.ready()
        address = str(path) if unix else server.address
        old = server.pid
        with Load(address, keep_alive=3, fresh=2) as load:
            load.wait_for(50)
            with upgraded(server) as new:
                assert pid.read_text() == f"{old}\n"
                assert (tmp_path / "pid.2").read_text() == f"{new}\n"
                workers = {str(worker) for worker in children(new)}
                load.wait_until(lambda: workers & set(load.bodies), "an answer of the new one")
                server.send(signal.SIGTERM)
                server.wait_for(rf"\[{old}\] info: stopped")
                server.wait_for(rf"\[{new}\] info: upgrade: the arbiter {old} is gone")
                load.wait_for(100)
                assert load.failures == []
                assert pid.read_text() == f"{new}\n"
                assert not (tmp_path / "pid.2").exists()
                with load_paused(load):
                    assert get(address).body.decode() in workers
        assert not pid.exists()
        assert not path.exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGQUIT])
def test_idle_connections_go_over_to_the_new_server(kind: str, stop: signal.Signals) -> None:
    """More of them than the kernel takes in one go."""
    with Portway(kind) as server, idle_clients(server.ready().address, 700) as clients:
        with upgraded(server) as new:
            server.send(stop)
            server.wait_for(rf"\[{server.pid}\] info: stopped")
            (worker,) = children(new)
            assert {client.get().body for client in clients} == {b"%d" % worker}


@pytest.mark.parametrize("kind", KINDS)
def test_idle_connections_come_back_when_an_upgrade_is_taken_back(kind: str) -> None:
    with Portway(kind) as server, idle_clients(server.ready().address, 3) as clients:
        with upgraded(server) as new:
            server.send(signal.SIGWINCH)
            wait_until(lambda: not server.workers() or server.workers() == [new], "the old worker's end")
            for client in clients:
                assert client.get().body.decode() in map(str, children(new))
            server.send(signal.SIGHUP)
            server.ready(3)
            os.kill(new, signal.SIGTERM)
            server.wait_for(f"the new arbiter {new} ended")
            (worker,) = server.workers()
            assert {client.get().body for client in clients} == {b"%d" % worker}
        with upgraded(server, 2) as newer:
            server.stop()
            (worker,) = children(newer)
            assert {client.get().body for client in clients} == {b"%d" % worker}


def test_a_new_server_that_dies_takes_no_connection_with_it() -> None:
    with Portway("wsgi.py") as server, idle_clients(server.ready().address, 3) as clients:
        with upgraded(server) as new:
            os.kill(new, signal.SIGSTOP)
            server.send(signal.SIGWINCH)
            server.wait_for("info: 0 workers wanted")
            wait_until(lambda: server.workers() in ([], [new]), "the old worker's end")
            os.kill(new, signal.SIGKILL)
            server.wait_for(f"the new arbiter {new} ended")
        server.send(signal.SIGHUP)
        for client in clients:
            assert client.get().body.decode() in map(str, server.workers())


def test_a_new_server_with_other_listeners_takes_no_idle_connections(tmp_path: Path) -> None:
    with upgraded_to(tmp_path, "unix:b", "unix:c") as (server, client, _):
        server.send(signal.SIGTERM)
        assert client.rest() == b""
        server.wait_for("info: upgrade: the arbiter .* is gone")
        assert get(str(tmp_path / "b")).status == 200


def test_the_order_of_the_addresses_may_be_another(tmp_path: Path) -> None:
    with upgraded_to(tmp_path, "unix:b", "unix:a") as (server, client, new):
        server.send(signal.SIGTERM)
        server.wait_for("info: upgrade: the arbiter .* is gone")
        assert client.get().body.decode() in map(str, children(new))


@contextmanager
def upgraded_to(directory: Path, *addresses: str) -> Iterator[tuple[Portway, Client, int]]:
    """Yield a server on unix:a and unix:b, an idle client of b, and the new server with other addresses."""
    file = directory / "portway.toml"
    file.write_text('bind = ["unix:a", "unix:b"]\n')
    with Portway("wsgi.py", "--config", "portway.toml", cwd=directory, bind=False) as server:
        server.ready()
        file.write_text(f"bind = {json.dumps(addresses)}\n")
        with idle_clients(str(directory / "b"), 1) as (client,), upgraded(server) as new:
            yield server, client, new


@contextmanager
def idle_clients(address: Address, count: int) -> Iterator[list[Client]]:
    """Yield clients whose connections have had a request each."""
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(address)) for _ in range(count)]
        for client in clients:
            assert client.get().status == 200
        yield clients


@contextmanager
def load_paused(load: Load) -> Iterator[None]:
    """End the load before the server ends."""
    load.__exit__(None, None, None)
    yield


@pytest.mark.parametrize("kind", KINDS)
def test_an_upgrade_can_be_taken_back(kind: str) -> None:
    with Portway(kind, "--workers", "2") as server:
        server.ready()
        with Load(server.address, keep_alive=3, fresh=2) as load:
            with upgraded(server) as new:
                old_workers = server.workers()
                server.send(signal.SIGWINCH)
                server.wait_for("info: 0 workers wanted")
                for worker in set(old_workers) - {new}:
                    wait_for_end(worker)
                load.wait_for(50)
                server.send(signal.SIGHUP)
                server.ready(3)
                os.kill(new, signal.SIGTERM)
                wait_for_end(new)
                server.wait_for(
                    rf"warning: upgrade: the new arbiter {new} ended \(exit 0\); this one goes on"
                )
                load.wait_for(50)
        assert load.failures == []
        with upgraded(server, 2):
            pass


def test_an_arbiter_that_cannot_start_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "portway.toml"
    file.write_text("workers = 1\n")
    with Portway("wsgi.py", cwd=tmp_path) as server:
        server.ready()
        file.write_text("wrkers = 1\n")
        with Load(server.address, keep_alive=1, fresh=1) as load:
            server.send(signal.SIGUSR2)
            server.wait_for(r"warning: upgrade: the new arbiter \d+ ended \(exit 1\); this one goes on")
            server.wait_for("^error: unknown key 'wrkers'")
            load.wait_for(20)
        assert load.failures == []
        assert get(server.address).status == 200


def test_a_second_upgrade_waits_for_the_first() -> None:
    with Portway("wsgi.py") as server:
        server.ready()
        with upgraded(server) as new:
            server.send(signal.SIGUSR2)
            server.wait_for(f"warning: upgrade: one is under way already, with the arbiter {new}")
            os.kill(new, signal.SIGUSR2)
            server.wait_for(f"warning: upgrade: one is under way already, with the arbiter {server.pid}")


def test_an_upgrade_listens_on_what_is_new_and_leaves_what_is_not(tmp_path: Path) -> None:
    file = tmp_path / "portway.toml"
    file.write_text('bind = ["unix:a", "unix:b"]\n')
    with Portway("wsgi.py", "--config", "portway.toml", cwd=tmp_path, bind=False) as server:
        server.ready()
        file.write_text('bind = ["unix:b", "unix:c"]\n')
        with upgraded(server):
            server.stop()
            server.wait_for("info: upgrade: the arbiter .* is gone")
            assert get(str(tmp_path / "b")).status == 200
            for name, there in (("a", False), ("b", True), ("c", True)):
                assert (tmp_path / name).exists() is there
            assert get(str(tmp_path / "c")).status == 200


def test_no_descriptor_is_inherited_but_the_sockets() -> None:
    with Portway("wsgi.py") as server:
        server.ready()
        before = descriptors(server.pid)
        with upgraded(server) as new:
            wait_until(lambda: descriptors(new) == before, f"end of {descriptors(new)}")


def descriptors(pid: int) -> list[str]:
    """Return what a process has open, without numbers."""
    names = os.listdir(f"/proc/{pid}/fd")
    return sorted(re.sub(r"[0-9]+", "", os.readlink(f"/proc/{pid}/fd/{name}")) for name in names)


def test_winch_without_an_upgrade_rests_until_a_reload() -> None:
    with Portway("wsgi.py") as server:
        (worker,) = server.ready().workers()
        server.send(signal.SIGWINCH)
        server.wait_for("info: 0 workers wanted")
        wait_for_end(worker)
        with Client(server.address) as client:
            client.request()
            server.send(signal.SIGHUP)
            assert client.answer().status == 200  # it waited in the backlog


@pytest.mark.parametrize(
    "value",
    ["", "nonsense", "[]", "null", '{"parent": 1}', '{"parent": "x", "sockets": {}}', "{}", '{"sockets": 3}'],
)
def test_a_variable_of_somebody_else_counts_for_nothing(value: str) -> None:
    environ = {VARIABLE: value, "OTHER": "1"}
    assert inherit(environ).parent == 0
    assert environ == {"OTHER": "1"}


def test_the_variable_counts_in_the_child_of_the_old_arbiter() -> None:
    environ = {VARIABLE: json.dumps({"parent": os.getppid(), "sockets": {"127.0.0.1:80": [7]}})}
    inherited = inherit(environ)
    assert (inherited.parent, inherited.descriptors) == (os.getppid(), {"127.0.0.1:80": [7]})
    assert inherited.parent_lives
