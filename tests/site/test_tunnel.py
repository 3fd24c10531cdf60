"""WebSockets through a proxy route, to a real server, and to one that does as it is told."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.site.serving import APPS, ask, route, serve_site
from tests.site.upstream import Caller, Upstream
from tests.support.certificates import authority_file, certificate
from tests.support.client import Client, ConnectionLost, get
from tests.support.processes import Portway
from tests.support.waiting import wait_until
from tests.support.websocket import websocket as open_websocket

WAYS = (
    "asgi-epoll",
    "asgi-poll",
    "asgi-epoll-uvloop",
    "wsgi-epoll",
    "wsgi-poll",
    "asgi-epoll-tls",
    "wsgi-epoll-tls",
)
ASK = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-A: b\r\n\r\n"


class DevServer:
    """The server of `apps/websocket_server.py` in a process of its own. A context manager."""

    def __enter__(self) -> DevServer:
        command = [sys.executable, str(APPS / "websocket_server.py")]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int(self.line())}"
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()

    def line(self) -> str:
        """Return the next line that it prints."""
        assert self.process.stdout
        return self.process.stdout.readline().strip()


@contextlib.contextmanager
def proxied(folder: Path, url: str, way: str = "asgi-epoll", *args: str, **env: str) -> Iterator[Portway]:
    main, poller, *further = way.split("-")
    args += ("--loop", "uvloop") if "uvloop" in further else ()
    args += ("--certfile", str(certificate("portway.test").pem)) if "tls" in further else ()
    with serve_site(
        folder, route("/ws*", proxy=url), app=main, args=args, PORTWAY_POLLER=poller, **env
    ) as server:
        (worker,) = server.ready().workers()
        yield server
        assert server.workers() == [worker], server.log
        assert server.stop() == 0
        assert "failed at" not in server.log, server.log
        assert "never retrieved" not in server.log, server.log


def websocket(server: Portway, path: str = "/ws", **options: Any) -> ClientConnection:
    """Open a WebSocket."""
    return open_websocket(server, path, **options)


@pytest.mark.parametrize("way", WAYS)
def test_a_dev_server_has_its_page_and_its_websocket_at_one_path(tmp_path: Path, way: str) -> None:
    with DevServer() as dev, proxied(tmp_path, dev.url, way) as server:
        assert b"new WebSocket" in get(server.address, "/ws").body
        with websocket(server) as one, websocket(server, compression=None) as two:
            for size in (0, 1, 125, 126, 65_535, 65_536, 3_000_000):
                data = os.urandom(size)
                for connection in (one, two):
                    connection.send(data)
                    assert connection.recv(20) == data
            one.send("é" * 1000)
            assert one.recv(20) == "é" * 1000
            assert two.ping().wait(20)
            assert get(server.address, "/ws?x").status == 200
            two.send("close me")
            with pytest.raises(ConnectionClosed):
                two.recv(20)
            assert (two.close_code, two.close_reason) == (4000, "as you wish")
        assert [dev.line(), dev.line()] == ["closed 4000", "closed 1000"]
        assert get(server.address, "/").status == 200


def test_many_messages_both_ways_at_once(tmp_path: Path) -> None:
    with DevServer() as dev, proxied(tmp_path, dev.url) as server, websocket(server) as connection:

        def send() -> None:
            for number in range(3000):
                connection.send(str(number) * 100)

        sender = threading.Thread(target=send)
        sender.start()
        assert [connection.recv(20) for _ in range(3000)] == [str(n) * 100 for n in range(3000)]
        sender.join()


def test_a_refusal_is_an_ordinary_answer(tmp_path: Path) -> None:
    with DevServer() as dev, proxied(tmp_path, dev.url) as server:
        with pytest.raises(InvalidStatus) as refusal:
            websocket(server, "/ws-no/../refused").close()
        assert refusal.value.response.status_code in (403, 200)
        host, port = server.address
        with pytest.raises(InvalidStatus):
            connect(f"ws://{host}:{port}/refuse").close()  # the application's


def test_a_client_that_is_gone_takes_its_tunnel_along(tmp_path: Path) -> None:
    with DevServer() as dev, proxied(tmp_path, dev.url) as server:
        with contextlib.suppress(OSError, ConnectionClosed), websocket(server) as connection:
            connection.send("x")
            connection.recv(20)
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.socket.close()
        assert dev.line() == "closed 1006"


def test_an_upstream_that_is_gone_takes_its_tunnels_along(tmp_path: Path) -> None:
    with DevServer() as dev, proxied(tmp_path, dev.url) as server, websocket(server) as connection:
        dev.process.kill()
        with pytest.raises(ConnectionClosed):
            connection.recv(20)
        assert get(server.address, "/ws").status == 502


@pytest.mark.parametrize("app", ["asgi", "wsgi"])
def test_a_stop_waits_for_tunnels(tmp_path: Path, app: str) -> None:
    with DevServer() as dev:
        site = route("/ws", proxy=dev.url)
        with serve_site(tmp_path, site, app=app, args=("--graceful-timeout", "60")) as server:
            server.ready()
            with websocket(server) as connection:
                server.send(signal.SIGTERM)
                server.wait_for("info: stopping gracefully")
                connection.send("still here")
                assert connection.recv(20) == "still here"
            assert server.exit_code() == 0
        assert dev.line() == "closed 1000"


@pytest.mark.parametrize("app", ["asgi", "wsgi"])
def test_a_stop_waits_for_tunnels_no_longer_than_for_anything(tmp_path: Path, app: str) -> None:
    with DevServer() as dev:
        site = route("/ws", proxy=dev.url)
        with serve_site(tmp_path, site, app=app, args=("--graceful-timeout", "0.5")) as server:
            server.ready()
            with websocket(server) as connection:
                assert server.stop() == 0
                with pytest.raises(ConnectionClosed):
                    connection.recv(20)
            assert "killed" not in server.log
        assert dev.line() == "closed 1006"


def test_a_reload_leaves_tunnels_to_the_old_worker(tmp_path: Path) -> None:
    with DevServer() as dev:
        with serve_site(tmp_path, route("/ws", proxy=dev.url), app="asgi") as server:
            (before,) = server.ready().workers()
            with websocket(server) as connection:
                server.send(signal.SIGHUP)
                server.ready(2)
                connection.send("old")
                assert connection.recv(20) == "old"
                with websocket(server) as new:
                    new.send("new")
                    assert new.recv(20) == "new"
                assert before in server.workers()
            wait_until(lambda: before not in server.workers(), "end of the old worker")
            assert server.stop() == 0


# -- any protocol ------------------------------------------------------------------------------------------


def shouting(caller: Caller, number: int) -> None:
    """Change the protocol and send everything back in capitals, until the other side has ended."""
    head = caller.head()
    assert not head or b"connection: Upgrade\r\nupgrade: websocket\r\n" in head
    caller.send(SWITCH + b"EARLY;")
    while data := caller.read(6):
        caller.send(data.upper())
    caller.send(b"BYE")


@pytest.mark.parametrize("app", ["asgi", "wsgi"])
def test_bytes_that_do_not_wait_for_the_change_are_not_lost(tmp_path: Path, app: str) -> None:
    with Upstream(shouting) as upstream, proxied(tmp_path, upstream.url, f"{app}-epoll") as server:
        with Client(server.address) as client:
            client.send(ASK + b"hello;")
            head = client._until(b"\r\n\r\n")
            assert head.startswith(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            )
            assert b"\r\nx-a: b" in head
            assert client._exactly(12) == b"EARLY;HELLO;"
            client.send(b"again;" * 100_000)
            assert client._exactly(600_000) == b"AGAIN;" * 100_000


@pytest.mark.parametrize("app", ["asgi", "wsgi"])
def test_each_side_may_end_first(tmp_path: Path, app: str) -> None:
    with Upstream(shouting) as upstream, proxied(tmp_path, upstream.url, f"{app}-epoll") as server:
        with Client(server.address) as client:
            client.send(ASK + b"hello;")
            client.sock.shutdown(socket.SHUT_WR)
            client._until(b"\r\n\r\n")
            assert client.rest() == b"EARLY;HELLO;BYE"

    def ending(caller: Caller, number: int) -> None:
        caller.head()
        caller.send(SWITCH + b"BYE")

    (tmp_path / "two").mkdir()
    with Upstream(ending) as upstream, proxied(tmp_path / "two", upstream.url, f"{app}-epoll") as server:
        with Client(server.address) as client:
            client.send(ASK)
            client._until(b"\r\n\r\n")
            assert client.rest() == b"BYE"


def test_a_side_that_does_not_read_holds_the_other_up(tmp_path: Path) -> None:
    sent = 0
    stalled = threading.Event()

    def flooding(caller: Caller, number: int) -> None:
        nonlocal sent
        caller.head()
        caller.send(SWITCH)
        caller.sock.settimeout(1.0)
        try:
            for _ in range(4000):
                caller.send(bytes(65536))
                sent += 65536
        except TimeoutError:
            stalled.set()

    with Upstream(flooding) as upstream, proxied(tmp_path, upstream.url) as server:
        with Client(server.address) as client:
            client.send(ASK)
            assert stalled.wait(20)
            assert sent < 64 * 2**20


def test_an_upstream_that_does_not_read_holds_the_client_up(tmp_path: Path) -> None:
    over = threading.Event()

    def deaf(caller: Caller, number: int) -> None:
        caller.head()
        caller.send(SWITCH)
        over.wait(20)

    with Upstream(deaf) as upstream, proxied(tmp_path, upstream.url) as server:
        with Client(server.address) as client:
            client.send(ASK)
            client._until(b"\r\n\r\n")
            client.sock.settimeout(1.0)
            sent = 0
            with pytest.raises(TimeoutError):
                while sent < 256 * 2**20:
                    sent += client.sock.send(bytes(65536))
            assert sent < 64 * 2**20
        over.set()


def test_a_tunnel_outlives_the_deadlines_of_requests(tmp_path: Path) -> None:
    with Upstream(shouting) as upstream:
        args = ("--timeout", "0.3", "--body-timeout", "0.3", "--keep-alive", "0.3", "--header-timeout", "0.3")
        with proxied(tmp_path, upstream.url, "asgi-epoll", *args) as server:
            with opened(server) as client:
                for _ in range(3):
                    threading.Event().wait(0.5)
                    client.send(b"hello;")
                assert client._exactly(24) == b"EARLY;HELLO;HELLO;HELLO;"


def opened(server: Portway) -> Client:
    """Return a client whose tunnel is open; the deadlines of requests may end the first tries."""
    while True:
        client = Client(server.address)
        with contextlib.suppress(ConnectionLost):
            client.send(ASK)
            if client._until(b"\r\n\r\n").startswith(b"HTTP/1.1 101"):
                return client
        client.close()


def test_a_tunnel_is_one_line_of_the_access_log(tmp_path: Path) -> None:
    with Upstream(shouting) as upstream:
        with proxied(tmp_path, upstream.url, "asgi-epoll", "--access-log", "access.log") as server:
            with Client(server.address) as client:
                client.send(ASK)
                client._until(b"\r\n\r\n")
                client.sock.shutdown(socket.SHUT_WR)
                client.rest()
    (line,) = (tmp_path / "access.log").read_text().splitlines()
    assert '"GET /ws HTTP/1.1" 101 9 ' in line


def test_an_upstream_that_breaks_off_ends_the_connection(tmp_path: Path) -> None:
    def breaking(caller: Caller, number: int) -> None:
        caller.head()
        caller.send(SWITCH + b"half")
        caller.read(1)
        caller.reset()

    with Upstream(breaking) as upstream, proxied(tmp_path, upstream.url) as server:
        with Client(server.address) as client:
            client.send(ASK + b"x")
            with contextlib.suppress(ConnectionLost):
                client._until(b"\r\n\r\n")
                client.rest()
        with Client(server.address) as client:
            assert ask(client, "/own")["interface"] == "asgi"


def test_an_application_is_not_offered_to_change_the_protocol(tmp_path: Path) -> None:
    with Upstream(shouting) as upstream, proxied(tmp_path, upstream.url) as server:
        with Client(server.address) as client:
            client.send(ASK.replace(b"/ws", b"/own").replace(b"websocket", b"h2c"))
            answer = client.answer()
            assert (answer.status, b"portway.upgrade" in answer.body) == (200, False)


# -- one Portway behind another ----------------------------------------------------------------------------


def test_a_chain_of_servers_with_tls_between_them(tmp_path: Path) -> None:
    for name in ("front", "behind"):
        (tmp_path / name).mkdir()
    pem = str(certificate("localhost").pem)
    with DevServer() as dev:
        site = route("/ws*", proxy=dev.url)
        with serve_site(tmp_path / "behind", site, app="asgi", args=("--certfile", pem)) as behind:
            url = f"https://localhost:{behind.ready().address[1]}"
            with proxied(tmp_path / "front", url, SSL_CERT_FILE=str(authority_file())) as server:
                assert b"new WebSocket" in get(server.address, "/ws").body
                with websocket(server) as connection:
                    for size in (1, 70_000, 1_000_000):
                        connection.send(b"x" * size)
                        assert connection.recv(20) == b"x" * size
                    connection.send("close me")
                    with pytest.raises(ConnectionClosed):
                        connection.recv(20)
                    assert connection.close_code == 4000
            assert behind.stop() == 0


def test_a_certificate_that_nobody_has_signed_is_a_bad_gateway(tmp_path: Path) -> None:
    (tmp_path / "behind").mkdir()
    pem = str(certificate("localhost").pem)
    with serve_site(tmp_path / "behind", app="asgi", args=("--certfile", pem)) as behind:
        url = f"https://localhost:{behind.ready().address[1]}"
        with proxied(tmp_path, url) as server:
            assert get(server.address, "/ws").status == 502
            server.wait_for("no connection: .*certificate")
        assert behind.stop() == 0
