"""Where a WebSocket may be: among a site's routes, beside threads, in development, inside a program."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

import portway
from portway.testing import running
from tests.protocols.apps import talking
from tests.protocols.conftest import OPENING, Raw, frame, websocket
from tests.site.serving import ask, mounted, route, serve_site
from tests.site.upstream import Caller, Upstream
from tests.support.certificates import certificate
from tests.support.client import Client, ConnectionLost
from tests.support.developing import Project, wait_for_watcher
from tests.support.processes import Portway
from tests.support.waiting import wait_until

SITE = (mounted("/w/*", "wsgi"), mounted("/a/*", "asgi"), mounted("/b/*", "second"))
WAYS = ("asgi-epoll", "asgi-poll", "wsgi-epoll", "wsgi-poll", "wsgi-epoll-uvloop", "wsgi-epoll-tls")
HOOKS = """
def pre_request(worker, scope):
    if type(scope) is dict and "type" in scope:
        worker.log.info("before %s %s", scope["type"], scope["path"])

def post_request(worker, scope):
    if type(scope) is dict and "type" in scope:
        worker.log.info("after %s %s", scope["type"], scope["path"])
"""


# -- among the routes of a site ----------------------------------------------------------------------------


@pytest.fixture(scope="module", params=WAYS)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portway]:
    """A site with applications of both kinds; for "wsgi" the event loop runs beside threads."""
    main, poller, *further = request.param.split("-")
    args: tuple[str, ...] = ("--loop", "uvloop") if "uvloop" in further else ()
    args += ("--certfile", str(certificate("portway.test").pem)) if "tls" in further else ()
    folder = tmp_path_factory.mktemp("site")
    with serve_site(folder, *SITE, app=main, args=args, PORTWAY_POLLER=poller) as server:
        (worker,) = server.ready().workers()
        yield server
        assert server.workers() == [worker], server.log
        assert server.stop() == 0
        for fault in ("failed at", "never retrieved", "never awaited"):
            assert fault not in server.log, server.log


def is_secure(server: Portway) -> bool:
    return type(server.address) is not tuple


def told(path: str, root: str, name: str, server: Portway) -> dict[str, Any]:
    scheme = "wss" if is_secure(server) else "ws"
    return {"name": name, "root": root, "path": path, "state": name, "private": [], "scheme": scheme}


def test_each_application_is_below_its_root_path(site: Portway) -> None:
    for path, root, name in (
        ("/a/x", "/a", "first"),
        ("/b/y", "/b", "second"),
        ("/b/.././a/z", "/a", "first"),
    ):
        with websocket(site, path) as connection:
            said = json.loads(connection.recv(20))
            said.pop("thread")
            seen = "/a/z" if ".." in path else path
            assert said == told(seen, root, name, site)
            for message in ("é" * 50_000, os.urandom(200_000), ""):
                connection.send(message)
                assert connection.recv(20) == message
        assert connection.close_code == 1000


def test_threads_go_on_beside_it(site: Portway) -> None:
    with websocket(site, "/a/x") as first, websocket(site, "/b/x") as second:
        for connection in (first, second):
            connection.recv(20)
        with Client(site.address) as client:
            for number in range(20):
                assert ask(client, "/w/1")["interface"] == "wsgi"
                assert ask(client, "/a/1")["interface"] == "asgi"
                for connection in (first, second):
                    connection.send(str(number))
                    assert connection.recv(20) == str(number)


def test_a_connection_becomes_one_after_requests_of_both_kinds(site: Portway) -> None:
    """It moves to the event loop's engine with its handshake, and with what follows that too soon."""
    with Raw(site, "/a/x", early=frame(1, b"early"), before=("/w/1", "/a/1", "/w/2")) as client:
        assert json.loads(client.frame()[1])["path"] == "/a/x"
        assert client.frame() == (0x81, b"early")
        client.send(frame(8, b"\x03\xe8"))
        assert client.closed() == (1000, "")


def test_an_application_that_has_none_gets_an_ordinary_request(site: Portway) -> None:
    with Client(site.address) as client:
        client.send(OPENING % (b"/w/x", b""))
        answer = client.answer()
        assert (answer.status, json.loads(answer.body)["interface"]) == (200, "wsgi")
        client.send(OPENING % (b"/a/refuse", b""))
        assert client.answer().status == 403
        assert ask(client, "/w/2")["path"] == "/2"


@pytest.mark.parametrize("main", ["asgi", "wsgi", ""])
def test_hooks_see_those_of_a_site_too(tmp_path: Path, main: str) -> None:
    (tmp_path / "noting.py").write_text(HOOKS)
    hooks = "pre_request=noting:pre_request,post_request=noting:post_request"
    with serve_site(
        tmp_path, *SITE[1:], app=main, args=("--hooks", hooks), PYTHONPATH=str(tmp_path)
    ) as server:
        server.ready()
        with websocket(server, "/b/x") as connection:
            connection.recv(20)
            server.wait_for("before websocket /b/x")
            assert "after websocket" not in server.log
        server.wait_for("after websocket /b/x")
        if not main:
            with pytest.raises(InvalidStatus) as refusal:
                websocket(server, "/elsewhere").close()
            assert refusal.value.response.status_code == 403
        assert server.stop() == 0


# -- in development ----------------------------------------------------------------------------------------

DEVELOPED = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    if scope["type"] == "http":
        await send({{"type": "http.response.start", "status": 200}})
        await send({{"type": "http.response.body", "body": b"{0}"}})
        return
    await receive()
    await send({{"type": "websocket.accept"}})
    if scope["path"] == "/raise":
        raise ValueError("of the application")
    await send({{"type": "websocket.send", "text": "{0}"}})
    while (message := await receive())["type"] == "websocket.receive":
        await send({{**message, "type": "websocket.send"}})
"""


def first_word(server: Portway) -> object:
    with websocket(server) as connection:
        return connection.recv(20)


def test_a_save_has_the_page_connect_again(tmp_path: Path) -> None:
    project = Project(tmp_path, DEVELOPED)
    with project.dev() as server:
        server.ready()
        wait_for_watcher(server, project)
        with websocket(server) as connection:
            assert connection.recv(20) == "one"
            project.save("two")
            with pytest.raises(ConnectionClosed):
                connection.recv(40)
            assert (connection.close_code, connection.close_reason) == (1012, "service restart")
        wait_until(lambda: first_word(server) == "two", "the new version")
        with websocket(server, "/raise") as connection:
            with pytest.raises(ConnectionClosed):
                connection.recv(20)
            assert connection.close_code == 1011
        server.wait_for("the application failed at GET /raise")
        server.wait_for("ValueError: of the application")
        assert server.stop() == 0
        assert "RuntimeError" not in server.log


def test_one_of_a_proxy_route_that_breaks_off_in_development(tmp_path: Path) -> None:
    """What a browser is shown of errors is for pages: nothing of it is among the bytes of a tunnel."""

    def breaking(caller: Caller, number: int) -> None:
        caller.head()
        fields = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        caller.send(b"HTTP/1.1 101 Switching Protocols\r\n" + fields)
        caller.reset()

    project = Project(tmp_path, DEVELOPED)
    with Upstream(breaking) as upstream:
        project.write("portway.toml", f'app = "app:app"\n{route("/up*", proxy=upstream.url)}')
        with project.dev() as server:
            server.ready()
            with Client(server.address) as client:
                page = b"Host: localhost\r\nAccept: text/html"
                client.send((OPENING % (b"/up", b"")).replace(b"Host: a", page))
                with contextlib.suppress(ConnectionLost):
                    assert client._until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
                    assert client.rest() == b""
            assert first_word(server) == "one"
            assert server.stop() == 0
            assert "Traceback" not in server.log


# -- inside a program --------------------------------------------------------------------------------------


def test_a_server_in_this_process() -> None:
    with portway.Server(talking.app, bind="127.0.0.1:0", ws_max_size=100) as server:
        url = server.url.replace("http", "ws", 1)
        with connect(f"{url}/echo", proxy=None) as connection:
            connection.send("x" * 100)
            assert connection.recv(20) == "x" * 100
            connection.send("x" * 101)
            with pytest.raises(ConnectionClosed):
                connection.recv(20)
            assert connection.close_code == 1009
        with connect(f"{url}/echo", proxy=None) as connection:
            connection.send("still here")
            assert connection.recv(20) == "still here"
            server.stop()
            with pytest.raises(ConnectionClosed):
                connection.recv(20)
            assert connection.close_code == 1012


def test_a_server_in_the_callers_own_loop() -> None:
    async def main() -> None:
        async with portway.Server(talking.app, bind="127.0.0.1:0") as server:
            async with connect_async(f"{server.url.replace('http', 'ws', 1)}/echo", proxy=None) as connection:
                await connection.send(b"x" * 100_000)
                assert await connection.recv() == b"x" * 100_000
            assert connection.close_code == 1000

    asyncio.run(asyncio.wait_for(main(), 40))


def test_a_server_for_a_test() -> None:
    with running(talking.app) as url:
        with connect(f"{url.replace('http', 'ws', 1)}/echo", proxy=None) as connection:
            connection.send("x")
            assert connection.recv(20) == "x"
        with connect(f"{url.replace('http', 'ws', 1)}/echo", proxy=None) as connection:
            connection.send("y")
            assert connection.recv(20) == "y"
