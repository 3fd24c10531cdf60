"""Proxy routes in a running server: what travels, and what becomes of upstreams that do wrong."""

from __future__ import annotations

import contextlib
import gzip
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site.serving import ask, mounted, route, serve_site
from tests.site.upstream import OK, Caller, Upstream, answering
from tests.support.certificates import certificate
from tests.support.client import Client, ConnectionLost, get
from tests.support.processes import Portway, standing_still
from tests.support.waiting import wait_until

UNTRUSTED = ("--forwarded-allow-ips", "192.0.2.1")
# For an upstream that is waited for in vain. No other test has a short one: its upstream may be slow.
SHORT_S = 0.6
# Main application and poller: the proxy in the only engine, or in one beside the application's.
WAYS = ("asgi-epoll", "asgi-poll", "wsgi-epoll")


@contextlib.contextmanager
def proxying(
    folder: Path, *upstreams: Upstream, app: str = "asgi", args: tuple[str, ...] = (), **keys: object
) -> Iterator[Portway]:
    """Serve "/up/*" from upstreams; at the end the worker must be the same, and stop."""
    with serve_site(
        folder, route("/up/*", proxy=[one.url for one in upstreams], **keys), app=app, args=args
    ) as server:
        (worker,) = server.ready().workers()
        yield server
        assert server.workers() == [worker], server.log
        assert server.stop() == 0
        assert "failed at" not in server.log, server.log
        assert "never retrieved" not in server.log, server.log


@pytest.mark.parametrize("way", WAYS)
def test_a_request_and_its_answer_travel(tmp_path: Path, way: str) -> None:
    main, poller = way.split("-")
    answer = b"HTTP/1.1 201 Made\r\nX-Two: 1\r\nX-Two: 2\r\nServer: theirs\r\nContent-Length: 5\r\n\r\nhello"
    script, heads = answering(answer)
    with (
        Upstream(script) as upstream,
        serve_site(
            tmp_path, route("/up/*", proxy=upstream.url), app=main, args=UNTRUSTED, PORTWAY_POLLER=poller
        ) as server,
    ):
        server.ready()
        with Client(server.address) as client:
            for _ in range(3):
                client.request("/up/%41%2F//x?y=%20", {"X-Forwarded-For": "1.2.3.4", "TE": "trailers"})
                got = client.answer()
                assert (got.status, got.body, got.headers["server"]) == (201, b"hello", "theirs")
                assert ask(client, "/own")["interface"] == main
        assert server.stop() == 0
    assert upstream.connections == 1
    assert heads[0].startswith(b"GET /up/%41%2F//x?y=%20 HTTP/1.1\r\nhost: " + upstream.address.encode())
    assert b"x-forwarded-for: 127.0.0.1\r\n" in heads[0]
    assert b"x-forwarded-host: portway.test\r\n" in heads[0]
    assert b"te:" not in heads[0]


def test_a_trusted_proxy_in_front_is_added_to(tmp_path: Path) -> None:
    script, heads = answering(OK)
    said = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "example.com"}
    heeded = ("--forwarded-headers", "x-forwarded-for,x-forwarded-proto,x-forwarded-host")
    with Upstream(script) as upstream, proxying(tmp_path, upstream, args=heeded, keep_host=True) as server:
        with Client(server.address) as client:
            assert client.get("/up/", said).status == 200
    assert b"x-forwarded-for: 203.0.113.9, 127.0.0.1\r\n" in heads[0]
    assert b"x-forwarded-proto: https\r\n" in heads[0]
    assert b"host: example.com\r\n" in heads[0]


def test_fields_that_no_text_holds_travel(tmp_path: Path) -> None:
    script, heads = answering(b"HTTP/1.1 200 OK\r\nX-Odd: caf\xe9\xff\r\nContent-Length: 2\r\n\r\nok")
    with Upstream(script) as upstream, proxying(tmp_path, upstream) as server:
        with Client(server.address) as client:
            assert client.get("/up/", {"X-Odd": "\xe9\xff"}).headers["x-odd"] == "caf\xe9\xff"
    assert b"x-odd: \xe9\xff\r\n" in heads[0]


def test_content_codings_cookies_and_redirects_are_left_alone(tmp_path: Path) -> None:
    body = gzip.compress(b"text" * 100)
    head = (
        b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/x\r\nSet-Cookie: a=1\r\nContent-Encoding: gzip\r\n"
    )
    script, heads = answering(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    with Upstream(script) as upstream, proxying(tmp_path, upstream) as server:
        with Client(server.address) as client:
            for _ in range(2):
                got = client.get("/up/", {"Accept-Encoding": "gzip"})
                assert (got.status, got.body, got.headers["location"]) == (302, body, "http://elsewhere/x")
                assert got.headers["set-cookie"] == "a=1"
    assert not any(b"cookie" in head for head in heads)


def test_a_prefix_is_taken_off(tmp_path: Path) -> None:
    script, heads = answering(OK)
    with Upstream(script) as upstream, proxying(tmp_path, upstream, strip=True) as server:
        assert get(server.address, "/up/x/y?z").status == 200
    assert heads[0].startswith(b"GET /x/y?z HTTP/1.1\r\n")
    assert b"x-forwarded-prefix: /up\r\n" in heads[0]


def test_an_upstream_on_a_unix_socket(tmp_path: Path) -> None:
    script, heads = answering(OK)
    with Upstream(script, tmp_path / "up.sock") as upstream, proxying(tmp_path, upstream) as server:
        assert get(server.address, "/up/x").body == b"ok"
    assert b"host: localhost\r\n" in heads[0]


# -- bodies ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", ["asgi", "wsgi"])
def test_a_body_travels_as_it_comes_in_both_directions(tmp_path: Path, app: str) -> None:
    def script(caller: Caller, number: int) -> None:
        assert b"transfer-encoding: chunked" in caller.head()
        caller.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(3):
            piece = caller.read(10)  # "5", five letters, two line ends
            caller.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        assert caller.read(5) == b"0\r\n\r\n"
        caller.send(b"0\r\n\r\n")
        caller.rest()

    with Upstream(script) as upstream, proxying(tmp_path, upstream, app=app) as server:
        with Client(server.address) as client:
            client.send(b"POST /up/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            for number in range(3):  # each answer is there before the next piece is sent
                client.send(b"5\r\nabcd%d\r\n" % number)
                while b"abcd%d" % number not in client._buffer:
                    assert client._more()
            client.send(b"0\r\n\r\n")
            assert client.answer().body == b"".join(b"5\r\nabcd%d\r\n" % n for n in range(3))
            assert client.get("/own").status == 200


def test_megabytes_travel_whole_in_both_directions(tmp_path: Path) -> None:
    body = os.urandom(5_000_000)

    def script(caller: Caller, number: int) -> None:
        while caller.head():
            data = caller.read(len(body))
            caller.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data)

    with Upstream(script) as upstream, proxying(tmp_path, upstream) as server:
        with Client(server.address) as client:
            for _ in range(2):
                client.request("/up/", method="POST", body=body)
                assert client.answer().body == body
    assert upstream.connections == 1


def test_a_client_that_does_not_read_holds_the_upstream_up(tmp_path: Path) -> None:
    sent = 0
    ready = threading.Event()

    def script(caller: Caller, number: int) -> None:
        nonlocal sent
        caller.head()
        caller.send(b"HTTP/1.1 200 OK\r\n\r\n")
        caller.sock.settimeout(1.0)
        try:
            for _ in range(4000):
                caller.send(bytes(65536))
                sent += 65536
        except TimeoutError:
            ready.set()

    with Upstream(script) as upstream, proxying(tmp_path, upstream) as server:
        with Client(server.address) as client:
            client.request("/up/")
            assert ready.wait(20)  # it cannot send on
            assert sent < 64 * 2**20


def test_an_upstream_that_does_not_read_is_given_up(tmp_path: Path) -> None:
    over = threading.Event()

    def script(caller: Caller, number: int) -> None:
        caller.head()
        over.wait(20)

    with Upstream(script) as upstream, proxying(tmp_path, upstream, read_timeout=SHORT_S) as server:
        with Client(server.address) as client:
            client.send(b"POST /up/ HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
            with contextlib.suppress(ConnectionLost, OSError):
                client.send(bytes(30_000_000))
            assert client.answer().status == 504
        over.set()
        server.wait_for("does not read the request")


def test_the_clients_expectation_is_met_here(tmp_path: Path) -> None:
    bodies = []

    def script(caller: Caller, number: int) -> None:
        assert b"expect" not in caller.head()
        bodies.append(caller.read(5))
        caller.send(OK)
        caller.rest()

    with Upstream(script) as upstream, proxying(tmp_path, upstream) as server:
        with Client(server.address) as client:
            client.send(b"POST /up/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            assert client.interim() == 100
            client.send(b"hello")
            assert client.answer().status == 200
    assert bodies == [b"hello"]


def test_an_answer_before_the_body_ends_is_passed_on(tmp_path: Path) -> None:
    def script(caller: Caller, number: int) -> None:
        caller.head()
        caller.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        caller.rest()

    with Upstream(script) as upstream, proxying(tmp_path, upstream) as server:
        with Client(server.address) as client:
            client.send(b"POST /up/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbegin")
            answer = client.answer()
            assert (answer.status, answer.body) == (413, b"big")
        upstream.wait_for_end()


# -- responses of every sort -------------------------------------------------------------------------------


def test_a_folded_field_is_one_line_for_the_client(tmp_path: Path) -> None:
    script, _ = answering(b"HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 0\r\n\r\n")
    with Upstream(script) as upstream, proxying(tmp_path, upstream) as server:
        assert get(server.address, "/up/").headers["x-a"].split() == ["a", "b"]


def test_head_keeps_the_length_that_get_would_have(tmp_path: Path) -> None:
    script, _ = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    with Upstream(script) as upstream, proxying(tmp_path, upstream) as server:
        with Client(server.address) as client:
            for _ in range(2):
                client.request("/up/", method="HEAD")
                assert client._until(b"\r\n\r\n").lower().count(b"content-length: 1000") == 1
    assert upstream.connections == 1


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_a_body_where_none_may_be_is_dropped_with_its_connection(tmp_path: Path, status: bytes) -> None:
    script, _ = answering(
        b"HTTP/1.1 %b\r\nX-A: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil" % status
    )
    with Upstream(script) as upstream, proxying(tmp_path, upstream) as server:
        with Client(server.address) as client:
            for _ in range(3):
                client.request("/up/")
                head = client._until(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 " + status[:3]) and not client._buffer
    assert upstream.connections == 3


def test_interim_responses_are_passed_over(tmp_path: Path) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    script, _ = answering(interim * 3 + OK)
    with Upstream(script) as upstream, proxying(tmp_path, upstream) as server:
        assert get(server.address, "/up/").body == b"ok"


def test_a_body_that_ends_with_the_connection_is_whole(tmp_path: Path) -> None:
    script, _ = answering(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 100_000, close=True)
    with Upstream(script) as upstream, proxying(tmp_path, upstream) as server:
        with Client(server.address) as client:
            assert client.get("/up/").body == b"x" * 100_000
            assert client.get("/up/").body == b"x" * 100_000


BAD_HEADS = {
    "garbage": b"\x16\x03\x01 what is this\r\n\r\n",
    "no status": b"HTTP/1.1\r\n\r\n",
    "a huge line": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
    "a thousand fields": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
    "a control character": b"HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "a length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
    "interim responses only": b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
    "a request": b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD_HEADS)
def test_what_is_no_answer_is_a_bad_gateway(tmp_path: Path, name: str) -> None:
    def script(caller: Caller, number: int) -> None:
        if caller.head():
            caller.send(BAD_HEADS[name])
            caller.rest()

    with Upstream(script) as upstream, proxying(tmp_path, upstream) as server:
        with Client(server.address) as client:
            answer = client.get("/up/secret")
            assert answer.status == 502
            assert upstream.address.encode() not in answer.body and b"secret" not in answer.body
            assert ask(client, "/own")["interface"] == "asgi"
        server.wait_for(f"warning: GET /up/secret: upstream {upstream.url}: ")
        upstream.wait_for_end()
    assert upstream.connections == 1


LIES = {
    "a short length": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
    "chunks without an end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "half a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhello",
    "no length": b"HTTP/1.1 200 OK\r\n\r\nhello",
    "no chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello",
}


@pytest.mark.parametrize("ends", ["closes", "resets", "hangs"])
@pytest.mark.parametrize("name", LIES)
def test_an_answer_that_breaks_off_never_looks_whole(tmp_path: Path, name: str, ends: str) -> None:
    if (name, ends) == ("no length", "closes"):
        return  # that is how such a body ends

    def script(caller: Caller, number: int) -> None:
        if caller.head():
            caller.send(LIES[name])
            if ends == "resets":
                caller.read(1)  # until our word
                caller.reset()
            elif ends == "hangs":
                caller.rest()

    timeout_s = SHORT_S if ends == "hangs" else 20.0
    with Upstream(script) as upstream, proxying(tmp_path, upstream, read_timeout=timeout_s) as server:
        with Client(server.address) as client:
            client.request("/up/")
            if ends == "resets":
                while b"\r\n\r\n" not in client._buffer and client._more():
                    pass
                with contextlib.suppress(OSError):
                    upstream._open[0].shutdown(socket.SHUT_RD)  # wakes the script
            with pytest.raises(ConnectionLost):
                answer = client.answer()
                # It had not begun; an upstream that hangs may have been slow to begin.
                assert answer.status in ((502, 504) if ends == "hangs" else (502,))
                raise ConnectionLost(b"")
        server.wait_for(f"GET /up/: upstream {upstream.url}: ")


@pytest.mark.parametrize("app", ["asgi", "wsgi"])
def test_bytes_that_come_with_the_next_request_are_nobodys(tmp_path: Path, app: str) -> None:
    """Both are there when the worker looks again, and the request first: it has not read the bytes."""
    go, gone = threading.Event(), threading.Event()

    def script(caller: Caller, number: int) -> None:
        caller.head()
        caller.send(OK)
        go.wait(20)
        caller.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        gone.set()
        caller.rest()

    with Upstream(script) as upstream, proxying(tmp_path, upstream, app=app) as server:
        (worker,) = server.workers()
        with Client(server.address) as client:
            assert client.get("/up/").body == b"ok"
            with standing_still(worker):
                client.request("/up/")
                go.set()
                assert gone.wait(20)
            assert client.answer().body == b"ok"
    assert upstream.connections == 2


@pytest.mark.parametrize("later", [False, True])
def test_bytes_behind_an_answer_are_nobodys(tmp_path: Path, later: bool) -> None:
    """What an upstream sends unasked must not become the answer to somebody else's request."""
    stray = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    go = threading.Event()
    gone = threading.Event()

    def script(caller: Caller, number: int) -> None:
        caller.head()
        caller.send(OK if later else OK + stray)
        if later:
            go.wait(20)
            caller.send(stray)
            gone.set()
        caller.rest()

    with Upstream(script) as upstream, proxying(tmp_path, upstream) as server:
        with Client(server.address) as client:
            for number in range(4):
                assert client.get("/up/").body == b"ok"
                if later and number == 0:
                    go.set()
                    assert gone.wait(20)
    assert upstream.connections >= 3


# -- upstreams that are not there --------------------------------------------------------------------------


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """A URL where connections are refused."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"


@contextlib.contextmanager
def full() -> Iterator[str]:
    """A URL where connections are not answered: the backlog is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_an_upstream_that_refuses_is_a_bad_gateway(tmp_path: Path) -> None:
    with nobody() as url, serve_site(tmp_path, route("/up/*", proxy=url), app="asgi") as server:
        server.ready()
        answer = get(server.address, "/up/")
        assert (answer.status, answer.body) == (502, b"Bad Gateway\n")
        server.wait_for("GET /up/: upstream .*: no connection: ")
        assert server.stop() == 0


def test_an_upstream_that_takes_no_connection_is_a_timeout(tmp_path: Path) -> None:
    with (
        full() as url,
        serve_site(tmp_path, route("/up/*", proxy=url, connect_timeout=0.3), app="asgi") as server,
    ):
        server.ready()
        assert get(server.address, "/up/").status == 504
        server.wait_for(r"no connection in 0\.3 s")
        assert server.stop() == 0


def test_a_name_that_nobody_has_is_a_bad_gateway(tmp_path: Path) -> None:
    url = "http://nobody.invalid:80"
    with serve_site(tmp_path, route("/up/*", proxy=url, connect_timeout=5.0), app="asgi") as server:
        server.ready()
        assert get(server.address, "/up/").status in (502, 504)
        assert server.stop() == 0


@pytest.mark.parametrize("away", [nobody, full])
def test_the_next_upstream_is_asked_where_one_cannot_be_reached(tmp_path: Path, away: object) -> None:
    script, heads = answering(OK)
    with away() as url, Upstream(script) as upstream:  # type: ignore[operator]
        timeout_s = 2.0 if away is full else 20.0  # it is the other one's time as well
        site = route("/up/*", proxy=[url, upstream.url], connect_timeout=timeout_s)
        with serve_site(tmp_path, site, app="asgi") as server:
            server.ready()
            with Client(server.address) as client:
                for _ in range(6):
                    client.request("/up/", method="POST")
                    assert client.answer().status == 200
            assert server.log.count("the next one is asked") == 1  # it rests after the first time
            assert server.stop() == 0
    assert len(heads) == 6 and all(head.startswith(b"POST") for head in heads)


def test_upstreams_take_turns(tmp_path: Path) -> None:
    scripts = [answering(OK.replace(b"ok", b"%d." % n)) for n in range(3)]
    with contextlib.ExitStack() as stack:
        upstreams = [stack.enter_context(Upstream(script)) for script, _ in scripts]
        with proxying(tmp_path, *upstreams) as server, Client(server.address) as client:
            bodies = [client.get("/up/").body for _ in range(9)]
    assert bodies == [b"0.", b"1.", b"2."] * 3


# -- repeating ---------------------------------------------------------------------------------------------


def closing_on_second(caller: Caller, number: int) -> None:
    """Answer the first request of a connection; close at the second, without a word."""
    caller.send(OK.removesuffix(b"ok") if caller.head().startswith(b"HEAD") else OK)
    caller.head()


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_a_request_that_met_a_closing_connection_is_sent_again(tmp_path: Path, method: str) -> None:
    with Upstream(closing_on_second) as upstream, proxying(tmp_path, upstream) as server:
        with Client(server.address) as client:
            for _ in range(4):
                client.request("/up/", method=method)
                assert client._until(b"\r\n\r\n").startswith(b"HTTP/1.1 200")
                assert method == "HEAD" or client._exactly(2) == b"ok"
    assert upstream.connections == 4


@pytest.mark.parametrize(
    ("method", "body"), [("POST", b""), ("POST", b"hello"), ("PUT", b"hello"), ("PATCH", b"")]
)
def test_a_request_that_may_have_been_worked_on_is_not_sent_again(
    tmp_path: Path, method: str, body: bytes
) -> None:
    with Upstream(closing_on_second) as upstream, proxying(tmp_path, upstream) as server:
        with Client(server.address) as client:
            client.get("/up/")
            client.request("/up/", method=method, body=body)
            assert client.answer().status == 502
    assert upstream.connections == 1


@pytest.mark.parametrize("ends", ["closes", "resets"])
def test_a_request_that_a_new_connection_does_not_answer_is_not_sent_again(tmp_path: Path, ends: str) -> None:
    def script(caller: Caller, number: int) -> None:
        caller.head()
        if ends == "resets":
            caller.reset()

    with Upstream(script) as upstream, proxying(tmp_path, upstream) as server:
        assert get(server.address, "/up/").status == 502
        server.wait_for("warning: GET /up/: upstream ")
    assert upstream.connections == 1


def test_an_upstream_that_does_not_answer_is_a_timeout(tmp_path: Path) -> None:
    def script(caller: Caller, number: int) -> None:
        caller.head()
        caller.rest()

    with Upstream(script) as upstream, proxying(tmp_path, upstream, read_timeout=SHORT_S) as server:
        with Client(server.address) as client:
            client.request("/up/", method="POST", body=b"x")
            assert client.answer().status == 504
            assert client.get("/own").status == 200
        upstream.wait_for_end()
    assert upstream.connections == 1


# -- clients that leave ------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", ["asgi", "wsgi"])
@pytest.mark.parametrize("moment", ["before the answer", "in the answer", "in the request"])
def test_a_client_that_leaves_takes_its_upstream_connection_along(
    tmp_path: Path, moment: str, app: str
) -> None:
    seen: list[bytes] = []
    begun = threading.Event()

    def script(caller: Caller, number: int) -> None:
        caller.head()
        if moment == "in the answer":
            caller.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegin")
        begun.set()
        seen.append(caller.rest())

    with Upstream(script) as upstream, proxying(tmp_path, upstream, app=app) as server:
        with Client(server.address) as client:
            if moment == "in the request":
                client.send(
                    b"POST /up/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
                )
            else:
                client.request("/up/")
            assert begun.wait(20)
        upstream.wait_for_end()
        assert get(server.address, "/own").status == 200
    assert not seen[0].endswith(b"0\r\n\r\n")  # nobody must take half a body for a whole one


# -- circles -----------------------------------------------------------------------------------------------


def test_a_route_that_leads_back_here_ends(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    here = f"127.0.0.1:{port}"
    with serve_site(
        tmp_path, route("/up/*", proxy=f"http://{here}"), app="asgi", args=("--bind", here, "--workers", "2")
    ) as server:
        server.ready()
        assert get(("127.0.0.1", port), "/up/").status == 508
        server.wait_for("the request has come round in a circle")
        assert server.stop() == 0


# -- operating ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", ["asgi", "wsgi"])
def test_a_graceful_stop_waits_for_the_upstream(tmp_path: Path, app: str) -> None:
    go = threading.Event()

    def script(caller: Caller, number: int) -> None:
        caller.head()
        go.wait(20)
        caller.send(OK)
        caller.rest()

    with Upstream(script) as upstream:
        site = route("/up/*", proxy=upstream.url)
        with serve_site(tmp_path, site, app=app) as server:
            server.ready()
            with Client(server.address) as client:
                client.request("/up/")
                wait_until(lambda: upstream.connections, "request at the upstream")
                server.send(signal.SIGTERM)
                server.wait_for("info: stopping gracefully")
                go.set()
                assert client.answer().body == b"ok"
            assert server.exit_code() == 0


def test_a_drain_that_runs_out_cuts_what_is_not_whole(tmp_path: Path) -> None:
    def script(caller: Caller, number: int) -> None:
        caller.head()
        caller.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        caller.rest()

    with Upstream(script) as upstream:
        site = route("/up/*", proxy=upstream.url)
        with serve_site(tmp_path, site, app="asgi", args=("--graceful-timeout", "1")) as server:
            server.ready()
            with Client(server.address) as client:
                client.request("/up/")
                while b"hello" not in client._buffer:
                    assert client._more()
                server.send(signal.SIGTERM)
                with pytest.raises(ConnectionLost):
                    client.answer()
            assert server.exit_code() == 0
        upstream.wait_for_end()


def test_a_stream_of_events_ends_well_when_the_server_does(tmp_path: Path) -> None:
    def script(caller: Caller, number: int) -> None:
        caller.head()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        caller.send(head + b"9\r\ndata: 1\n\n\r\n")
        caller.rest()

    with Upstream(script) as upstream:
        site = route("/up/*", proxy=upstream.url)
        with serve_site(tmp_path, site, app="asgi") as server:
            server.ready()
            with Client(server.address) as client:
                client.request("/up/")
                while b"data: 1" not in client._buffer:
                    assert client._more()
                server.send(signal.SIGTERM)
                assert client.answer().body == b"data: 1\n\n"
            assert server.exit_code() == 0


def test_the_application_sees_nothing_of_what_proxies_are_told(tmp_path: Path) -> None:
    script, _ = answering(OK)
    with (
        Upstream(script) as upstream,
        proxying(tmp_path, upstream) as server,
        Client(server.address) as client,
    ):
        said = ask(client, "/own")
        assert said["private"] == said["extensions"] == []


def test_without_aiohttp_the_start_says_what_to_install(tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "aiohttp"
    missing.mkdir(parents=True)
    text = 'raise ModuleNotFoundError("No module named \'aiohttp\'", name="aiohttp")\n'
    (missing / "__init__.py").write_text(text)
    site = route("/up/*", proxy="http://127.0.0.1:1")
    with serve_site(tmp_path, site, app="asgi", PYTHONPATH=str(missing.parent)) as server:
        assert server.exit_code() == 3
        server.wait_for("error: routes with proxy need aiohttp, which is not installed")
        server.wait_for(r"hint: pip install 'portway\[proxy\]'")


def test_over_tls_the_upstream_learns_that_it_was(tmp_path: Path) -> None:
    script, heads = answering(OK)
    pem = str(certificate("portway.test").pem)
    with Upstream(script) as upstream, proxying(tmp_path, upstream, args=("--certfile", pem)) as server:
        assert get(server.address, "/up/").body == b"ok"
    assert b"x-forwarded-proto: https\r\nx-forwarded-port: 443\r\n" in heads[0]


def test_another_route_to_the_same_upstream_is_another_rule(tmp_path: Path) -> None:
    script, heads = answering(OK)
    with Upstream(script) as upstream:
        site = (route("/a/*", proxy=upstream.url, strip=True), route("/b/*", proxy=upstream.url))
        with serve_site(tmp_path, *site, mounted("/c/*", "wsgi"), app="asgi") as server:
            server.ready()
            with Client(server.address) as client:
                assert [client.get(path).status for path in ("/a/x", "/b/x", "/c/x", "/a/y")] == [200] * 4
            assert server.stop() == 0
    assert [head.split()[1] for head in heads] == [b"/x", b"/b/x", b"/y"]


# -- real servers ------------------------------------------------------------------------------------------

NGINX = """
daemon off; worker_processes 1; pid nginx.pid; error_log error.log; user root;
events {{ worker_connections 64; }}
http {{
    access_log off; client_body_temp_path body; proxy_temp_path proxy; gzip on; gzip_proxied any;
    fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi; keepalive_requests 5;
    server {{
        listen 127.0.0.1:{port};
        location /up/text {{ default_type text/html; return 200 "{text}"; }}
        location /up/told {{ return 200 "$http_x_forwarded_for $http_x_forwarded_proto"; }}
        location /up/gone {{ return 444; }}
    }}
}}
"""


def free_port() -> int:
    """Return a port that nobody has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], port: int, folder: Path) -> Iterator[str]:
    """Run a server until the block is left; its URL."""
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)

    def listens() -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(listens, "listening server")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.mark.needs("nginx")
def test_nginx_behind(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "nginx.conf").write_text(NGINX.format(port=port, text="text " * 200))
    command = ["nginx", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), "-e", "error.log"]
    with running(command, port, tmp_path) as url:
        site = route("/up/*", proxy=url, keep_host=True)
        with serve_site(tmp_path, site, app="asgi", args=UNTRUSTED) as server:
            server.ready()
            with Client(server.address) as client:
                for _ in range(17):  # nginx ends each connection after five requests
                    assert client.get("/up/told").body == b"127.0.0.1 http"
                packed = client.get("/up/text", {"Accept-Encoding": "gzip"})
                assert gzip.decompress(packed.body) == b"text " * 200
                assert packed.headers["server"].startswith("nginx")
                assert client.get("/up/gone").status == 502
                assert client.get("/up/none").status == 404
            assert server.stop() == 0


@pytest.mark.parametrize("app", ["asgi", "wsgi"])
def test_uvicorn_behind(tmp_path: Path, app: str) -> None:
    (tmp_path / "behind.py").write_text(
        "async def app(scope, receive, send):\n"
        "    body = b''\n"
        "    while (message := await receive())['more_body']:\n"
        "        body += message['body']\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
        "    for piece in (scope['client'][0].encode(), b' ', body + message['body']):\n"
        "        await send({'type': 'http.response.body', 'body': piece, 'more_body': True})\n"
        "    await send({'type': 'http.response.body', 'body': b''})\n"
    )
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--port", str(port), "--lifespan", "off", "behind:app"]
    with running(command, port, tmp_path) as url:
        with serve_site(tmp_path, route("/up/*", proxy=url), app=app) as server:
            server.ready()
            with Client(server.address) as client:
                for size in (0, 10, 200_000):
                    client.request(
                        "/up/x", {"X-Forwarded-For": "203.0.113.9"}, method="POST", body=b"x" * size
                    )
                    assert client.answer().body == b"203.0.113.9 " + b"x" * size
            assert server.stop() == 0
