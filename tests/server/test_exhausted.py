"""A worker without descriptors, and sockets that cannot be had: one line each, and what serves goes on."""

from __future__ import annotations

import os
import resource
import socket
from pathlib import Path

import pytest

from tests.engine.conftest import serve
from tests.support.client import Client, ConnectionLost
from tests.support.processes import Portway

CLIENTS = 12


def leave(worker: int, descriptors: int) -> None:
    """Let a process have only that many more descriptors than it has."""
    taken = {int(name) for name in os.listdir(f"/proc/{worker}/fd")}
    free = [number for number in range(4096) if number not in taken]
    _, hard = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (free[descriptors], hard))


@pytest.mark.parametrize("way", ["wsgi-epoll", "wsgi-poll", "asgi-epoll", "asgi-poll"])
def test_no_descriptor_left_closes_those_that_idle(way: str) -> None:
    """More clients than descriptors: each is served, those that have had their answer make room."""
    with serve(way) as server:
        (worker,) = server.ready().workers()
        with Client(server.address) as first:
            assert first.get("/").status == 200
            leave(worker, 3)
            clients = [Client(server.address) for _ in range(CLIENTS)]
            try:
                assert [client.get("/").status for client in clients] == [200] * CLIENTS
            finally:
                for client in clients:
                    client.close()
        server.wait_for(r"warning: accept: Too many open files; idle connections are closed to make room")
        with Client(server.address) as last:
            assert last.get("/").status == 200
        assert server.workers() == [worker]
        assert server.stop() == 0


@pytest.mark.parametrize("way", ["wsgi-epoll", "asgi-epoll"])
def test_those_that_wait_for_a_descriptor_are_served_when_one_is_free(way: str) -> None:
    with serve(way) as server:
        (worker,) = server.ready().workers()
        busy = [Client(server.address) for _ in range(2)]
        for client in busy:  # before a body: not idle, and over as soon as the client goes
            client.send(
                b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"
            )
            assert client.sock.recv(100).startswith(b"HTTP/1.1 100 ")
        leave(worker, 0)
        with Client(server.address) as waiting:
            waiting.request("/")
            server.wait_for(r"warning: accept: Too many open files")
            for client in busy:
                client.close()
            try:
                assert waiting.answer().status == 200
            except ConnectionLost as lost:
                raise AssertionError("a client that could wait was dropped") from lost
        assert server.workers() == [worker]


def test_a_second_server_on_a_live_socket_harms_nothing(tmp_path: Path) -> None:
    path = tmp_path / "portway.sock"
    with Portway("wsgi.py", "--bind", f"unix:{path}") as first:
        first.ready()
        with Portway("wsgi.py", "--bind", f"unix:{path}") as second:
            assert second.exit_code() != 0
            errors = [line for line in second.lines if line.startswith("error: ")]
            assert errors == [f"error: cannot listen on 'unix:{path}': address already in use"]
            assert [line for line in second.lines if line.startswith("hint: ")]
        with Client(str(path)) as client:
            assert client.get("/").status == 200
        assert first.stop() == 0
        assert not path.exists()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--bind", "fd://nobody"), "cannot listen on 'fd://nobody': systemd passed no socket of that name"),
        (("--bind", "fd://900"), "cannot listen on 'fd://900': bad file descriptor"),
        (
            ("--bind", "unix:/nowhere/at/all"),
            "cannot listen on 'unix:/nowhere/at/all': no such file or directory",
        ),
        (("--uds-owner", "nobody-of-this-name"), "--uds-owner must be a user of this machine"),
        (("--forwarded-allow-ips", "10.0.0.1/8"), "--forwarded-allow-ips must be a network, as 10.0.0.0/8"),
        (
            ("--forwarded-allow-ips", "proxy.internal"),
            "--forwarded-allow-ips must be an IP address, a network",
        ),
        (("--forwarded-headers", "x-real-ip"), "--forwarded-headers must be one of x-forwarded-for"),
        (("--forwarded-headers", "forwarded,x-forwarded-for"), "forwarded-headers"),
        (("--proxy-protocol", "v3"), "--proxy-protocol must be off, v1, v2 or auto, not 'v3'"),
        (("--pid", "/nowhere/at/all"), "cannot write the pid file"),
    ],
)
def test_what_cannot_be_had_is_one_line(arguments: tuple[str, ...], error: str) -> None:
    with Portway("wsgi.py", *arguments) as server:
        assert server.exit_code() in (1, 3)
        errors = [line for line in server.lines if line.startswith("error: ")]
        assert len(errors) == 1 and error in errors[0], server.log
        assert "Traceback" not in server.log


def test_an_abstract_socket_is_served_and_told(tmp_path: Path) -> None:
    name = f"portway-{os.getpid()}-served"
    with Portway("wsgi.py", "--bind", f"unix:@{name}") as server:
        server.ready()
        server.wait_for(f"listening on unix:@{name}$")
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect("\0" + name)
            sock.sendall(b"GET / HTTP/1.1\r\nHost: portway.test\r\nConnection: close\r\n\r\n")
            assert sock.recv(100).startswith(b"HTTP/1.1 200")
