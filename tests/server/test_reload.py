"""SIGHUP under continuous load: every answer is counted, and none may be missing."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.client import Address, Client, get
from tests.support.load import Load
from tests.support.processes import Portway, is_alive, wait_for_end
from tests.support.waiting import wait_until

KINDS = ("versioned.py:wsgi", "versioned.py:asgi")


class Deployment:
    """The file that says what the application is like when it is imported next."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "version"
        self.env = {"VERSION_FILE": str(self._path)}
        self.set("1")

    def set(self, version: str) -> None:
        """Deploy."""
        self._path.write_text(version)

    def pipe(self, name: str) -> Path:
        """Make a pipe that the application reads."""
        path = self._path.with_name(name)
        os.mkfifo(path)
        return path


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    """Version 1 of the application."""
    return Deployment(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_reloads_under_load_lose_nothing(kind: str, deployment: Deployment) -> None:
    with Portway(kind, "--workers", "2", env=deployment.env) as server:
        server.ready()
        with Load(server.address, keep_alive=4, fresh=2) as load:
            for version in ("2", "3", "4"):
                old = server.workers()
                deployment.set(version)
                server.send(signal.SIGHUP)
                server.ready(int(version))
                load.wait_for_body(version, 50)
                for worker in old:
                    wait_for_end(worker)
                load.wait_for(100)
        assert load.failures == []
        assert len(server.workers()) == 2
        assert get(server.address).body == b"4"


@pytest.mark.parametrize("kind", KINDS)
def test_the_old_generation_serves_until_the_new_one_is_ready(kind: str, deployment: Deployment) -> None:
    with Portway(kind, "--workers", "2", env=deployment.env) as server:
        old = set(server.ready().workers())
        with Client(server.address) as client:
            assert client.get().body == b"1"
            deployment.set("2")
            server.send(signal.SIGHUP)
            server.ready(2)
        for worker in old:
            wait_for_end(worker)
        assert not old & set(server.workers())
        assert get(server.address).body == b"2"
        assert [line for line in server.lines if " warning: " in line or " error: " in line] == []


@pytest.mark.parametrize("kind", ["wsgi.py", "asgi.py"])
def test_more_idle_connections_than_a_queue_holds_live_on(kind: str) -> None:
    """The kernel takes some hundreds of descriptors in one go; the others wait for the next."""
    with Portway(kind) as server, ExitStack() as open_clients:
        (old,) = server.ready().workers()
        clients = [open_clients.enter_context(Client(server.address)) for _ in range(800)]
        for client in clients:
            client.get()
        server.send(signal.SIGHUP)
        server.ready(2)
        wait_for_end(old)
        (new,) = server.workers()
        for client in clients:
            assert client.get().body == b"%d" % new


@pytest.mark.parametrize("version", ["raise", "exit", "die", "lifespan"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_generation_that_cannot_start_leaves_the_old_one_serving(
    kind: str, version: str, deployment: Deployment
) -> None:
    if kind.endswith(":wsgi") and version == "lifespan":
        version = "raise"
    with Portway(kind, "--workers", "4", env=deployment.env) as server:
        old = server.ready().workers()
        with Load(server.address, keep_alive=2, fresh=1) as load:
            load.wait_for(20)
            deployment.set(version)
            server.send(signal.SIGHUP)
            server.wait_for("error: generation 2 cannot start; generation 1 keeps serving: ")
            load.wait_for(50)
            assert set(old) <= set(server.workers())
            deployment.set("3")
            server.send(signal.SIGHUP)
            server.ready(2)
            load.wait_for_body("3", 20)
        assert load.failures == []
        assert set(load.bodies) == {"1", "3"}
        assert "starting another" not in server.log


def asks(address: Address, version: str, within: ExitStack) -> Client:
    """Return a client whose connection that version answers."""
    while True:
        client = within.enter_context(Client(address))
        if client.get().body == version.encode():
            return client


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_generation_answers_that_fails_after_all_is_not_lost(
    kind: str, deployment: Deployment
) -> None:
    second, held = deployment.pipe("second"), deployment.pipe("held")
    with Portway(kind, "--workers", "2", env=deployment.env) as server, ExitStack() as open_clients:
        server.ready()
        deployment.set("half")
        server.send(signal.SIGHUP)
        idle = asks(server.address, "half", open_clients)
        busy = asks(server.address, "half", open_clients)
        busy.request("/held")
        second.write_text("fail")
        server.wait_for("error: generation 2 cannot start; generation 1 keeps serving: ")
        while (body := idle.get().body) == b"half":  # until its worker has begun to drain
            pass
        assert body == b"1"
        held.write_text("go on")
        answer = busy.answer()
        assert (answer.status, answer.body) == (200, b"half")
        assert server.stop() == 0


def test_reloads_in_quick_succession_all_come_to_an_end(deployment: Deployment) -> None:
    with Portway("versioned.py:wsgi", "--workers", "2", env=deployment.env) as server:
        server.ready()
        with Load(server.address, keep_alive=2, fresh=1) as load:
            for _ in range(10):
                server.send(signal.SIGHUP)
                load.wait_for(5)
            deployment.set("2")
            server.send(signal.SIGHUP)
            load.wait_for_body("2", 50)
            load.wait_for(50)
        assert load.failures == []
        assert server.stop() == 0


def test_a_response_that_takes_long_survives_a_reload() -> None:
    with Portway("wsgi.py") as server:
        (old,) = server.ready().workers()
        with Client(server.address) as client:
            client.request("/slow?1")
            get(server.address)
            server.send(signal.SIGHUP)
            server.ready(2)
            answer = client.answer()
            assert answer.status == 200
            assert answer.body == str(old).encode()
        wait_for_end(old)


def test_a_reload_while_stopping_is_ignored() -> None:
    with Portway("wsgi.py") as server:
        server.ready()
        with Client(server.address) as client:
            client.request("/slow?0.5")
            get(server.address)
            server.send(signal.SIGTERM)
            server.send(signal.SIGHUP)
            assert client.answer().status == 200
        assert server.exit_code() == 0
        assert "reload" not in server.log


@pytest.mark.parametrize("path", ["/events", "/events-with-trailers"])
@pytest.mark.parametrize("poller", ["epoll", "poll"])
def test_streams_of_events_are_told_at_once(poller: str, path: str) -> None:
    """Their clients connect again, to the new generation; so nobody need wait for the graceful timeout.

    Trailers that were announced and never come do not keep the response from its end.
    """
    with Portway("asgi.py", "--graceful-timeout", "600", env={"PORTWAY_POLLER": poller}) as server:
        (old,) = server.ready().workers()
        with Client(server.address) as client, Client(server.address) as other:
            for each, wanted in ((client, path), (other, "/download")):
                each.request(wanted)
                each.sock.recv(1)
            server.send(signal.SIGHUP)
            server.ready(2)
            assert client.rest_of_chunks().endswith(b"5\r\nbegin\r\n4\r\n end\r\n0\r\n\r\n")
            assert is_alive(old), "for the download, which nobody has told"
            server.send(signal.SIGINT)


def test_every_request_is_told_before_it_is_cut() -> None:
    with Portway("asgi.py", "--graceful-timeout", "1") as server:
        server.ready()
        with Client(server.address) as client:
            client.request("/download")
            client.sock.recv(1)
            assert server.stop() == 0
            assert client.rest().endswith(b"5\r\nbegin\r\n4\r\n end\r\n0\r\n\r\n")


def test_who_was_told_and_has_not_answered_is_answered_503() -> None:
    with Portway("asgi.py", "--graceful-timeout", "2") as server:
        server.ready()
        with Client(server.address) as client, Client(server.address) as other:
            client.request("/unanswered")
            assert other.get("/").status == 200
            assert server.stop() == 0
            assert client.answer().status == 503


def test_a_directory_that_is_a_link_is_followed_anew(tmp_path: Path) -> None:
    """A folder for each release, and a link to the one that counts."""
    for release, workers in (("one", 1), ("two", 2)):
        (tmp_path / release).mkdir()
        (tmp_path / release / "portway.toml").write_text(f"workers = {workers}\n")
        (tmp_path / release / "site_of_test.py").write_text(
            "def app(environ, start_response):\n    start_response('200 OK', [])\n"
            f"    return [b'{release}']\n"
        )
    current = tmp_path / "current"
    current.symlink_to("one")
    with Portway("site_of_test:app", "--chdir", str(current)) as server:
        server.ready()
        assert get(server.address).body == b"one"
        (tmp_path / "next").symlink_to("two")
        (tmp_path / "next").rename(current)
        server.send(signal.SIGHUP)
        server.ready(2)
        server.wait_for("info: reload: workers: 1 → 2")
        wait_until(lambda: get(server.address).body == b"two", "the other release")
