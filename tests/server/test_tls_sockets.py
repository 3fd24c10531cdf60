"""TLS together with what else an operator does to sockets: PROXY headers, activation, upgrades."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.engine.test_proxy_protocol import V1, v2
from tests.server.test_activation import LAUNCH
from tests.server.test_upgrade import upgraded
from tests.support.certificates import certificate
from tests.support.client import Answer, Client, SecureAddress, secured
from tests.support.load import Load
from tests.support.processes import COMMAND, DEADLINE_S, Portway

KINDS = ("wsgi.py", "asgi.py")


def with_certificate() -> tuple[str, ...]:
    """Return the arguments for TLS."""
    return "--certfile", str(certificate("portway.test").pem)


# -- PROXY headers -------------------------------------------------------------------------------------------


def behind(address: tuple[str, int], *pieces: bytes) -> Answer:
    """Send a PROXY header in pieces, then TLS and a request in it; return the answer."""
    client = Client((address[0], address[1]))
    try:
        for piece in pieces:
            client.sock.sendall(piece)
        client.sock = secured(client.sock)
        return client.get("/facts")
    finally:
        client.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("header", [V1, v2(), v2(tlvs=b"\x04\x00\x03abc")], ids=["v1", "v2", "tlvs"])
def test_a_proxy_header_stands_before_tls(kind: str, header: bytes, tmp_path: Path) -> None:
    log = tmp_path / "access"
    arguments = (*with_certificate(), "--proxy-protocol", "auto", "--access-log", str(log))
    with Portway(kind, *arguments) as server:
        address = server.ready().address
        assert behind(address, header).status == 200
        assert behind(address, *(header[i : i + 1] for i in range(len(header)))).status == 200
        assert behind(address, header[:5], header[5:]).status == 200
        # a connection that TLS follows at once in the same segment
        with socket.create_connection(address, DEADLINE_S) as raw:
            raw.sendall(header)
            with secured(raw) as layer:
                layer.sendall(b"GET / HTTP/1.1\r\nHost: portway.test\r\n\r\n" * 2)
                received = b""
                while received.count(b"HTTP/1.1 200") < 2:
                    received += layer.recv(65536)
        assert server.stop() == 0
        lines = log.read_text().splitlines()
        assert len(lines) == 5 and all(line.startswith("192.0.2.1 ") for line in lines)


@pytest.mark.parametrize("kind", KINDS)
def test_tls_without_the_header_that_must_come_first_is_refused(kind: str) -> None:
    with Portway(kind, *with_certificate(), "--proxy-protocol", "v2") as server:
        with pytest.raises(OSError), Client(server.ready().address):
            pass
        server.wait_for("closed a connection from 127.0.0.1: ")
        assert behind(server.address, v2()).status == 200


# -- activation ----------------------------------------------------------------------------------------------


def activated(listening: socket.socket, kind: str, *arguments: str) -> Portway:
    """Start a server as systemd does, with one socket."""
    app = str(Path(__file__).parent.parent / "support" / "apps" / kind)
    moved = os.dup(listening.fileno())
    command = [sys.executable, "-c", LAUNCH, str(moved), "web", *COMMAND[1:], "serve", app, *arguments]
    try:
        return Portway("", command=command, pass_fds=(moved,))
    finally:
        os.close(moved)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "bind", [(), ("--bind", "fd://web"), ("--bind", "fd://3")], ids=["all", "name", "number"]
)
def test_an_activated_socket_speaks_tls(kind: str, bind: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = SecureAddress(listening.getsockname())
        with activated(listening, kind, *with_certificate(), *bind) as server:
            server.ready()
            with Client(address) as client:
                assert client.get().status == 200
            assert "https://127.0.0.1:" in server.log
            assert server.stop() == 0


@contextmanager
def upgraded_again(server: Portway, old: int) -> Iterator[None]:
    """Upgrade the arbiter of an upgrade, end that one, and at the end the newest."""
    os.kill(old, signal.SIGUSR2)
    new = int(server.wait_for(rf"\[{old}\] info: upgrade: started the arbiter (\d+)")[1])
    server.wait_for(rf"\[{new}\] info: serving ")
    os.kill(old, signal.SIGTERM)
    server.wait_for(rf"\[{new}\] info: upgrade: the arbiter {old} is gone")
    yield
    os.kill(new, signal.SIGTERM)
    server.wait_for(rf"\[{new}\] info: stopped")


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(
    "bind", [(), ("--bind", "fd://web"), ("--bind", "fd://3")], ids=["all", "name", "number"]
)
def test_an_upgrade_keeps_an_activated_socket(tls: bool, bind: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        name = listening.getsockname()
        address = SecureAddress(name) if tls else name
        with activated(listening, "wsgi.py", *(with_certificate() if tls else ()), *bind) as server:
            server.ready()
            with Load(address, fresh=2, keep_alive=2) as load:
                load.wait_for(20)
                with upgraded(server) as new:
                    server.send(signal.SIGTERM)
                    server.wait_for(rf"\[{new}\] info: upgrade: the arbiter {server.pid} is gone")
                    load.wait_for(50)
                    assert load.failures == []
                    with upgraded_again(server, new):  # by a server that was not activated itself
                        load.wait_for(50)
                        assert load.failures == []
                        load.__exit__(None, None, None)


# -- upgrades ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_an_upgrade_with_tls_under_load_loses_nothing(kind: str) -> None:
    with Portway(kind, "--workers", "2", *with_certificate()) as server:
        address = server.ready().address
        with Load(address, keep_alive=2, fresh=1) as load:
            load.wait_for(30)
            with upgraded(server) as new:
                server.send(signal.SIGTERM)
                server.wait_for(rf"\[{server.pid}\] info: stopped")
                server.wait_for(rf"\[{new}\] info: upgrade: the arbiter {server.pid} is gone")
                load.wait_for(60)
                assert load.failures == []
                load.__exit__(None, None, None)


def test_an_upgrade_keeps_a_redirect_and_a_bind_without_tls() -> None:
    arguments = (*with_certificate(), "--redirect-bind", "127.0.0.1:0", "--insecure-bind", "127.0.0.1:0")
    with Portway("wsgi.py", *arguments) as server:
        server.ready()
        redirecting = int(server.wait_for(r"http://127.0.0.1:(\d+), leading to https")[1])
        plain = int(server.wait_for(r"listening on http://127.0.0.1:(\d+)$")[1])
        with upgraded(server) as new:
            server.send(signal.SIGTERM)
            server.wait_for(rf"\[{new}\] info: upgrade: the arbiter {server.pid} is gone")
            with Client(("127.0.0.1", redirecting)) as client:
                assert client.get().headers["location"] == f"https://portway.test:{server.address[1]}/"
            with Client(("127.0.0.1", plain)) as client:
                assert client.get().status == 200
