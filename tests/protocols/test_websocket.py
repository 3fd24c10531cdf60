"""WebSockets of ASGI applications, over real connections: by the library's client, and by raw frames."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import zlib
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.protocols.conftest import ACCEPTED, OPENING, Raw, frame, log_of, serve, told, websocket
from tests.server.test_control import ctl_json
from tests.support.client import Client, ConnectionLost, get
from tests.support.processes import Portway
from tests.support.waiting import wait_until

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def closed(code: int, reason: str = "") -> dict[str, object]:
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


# -- messages ----------------------------------------------------------------------------------------------


def test_every_size_comes_back(server: Portway) -> None:
    with websocket(server, compression=None) as plain, websocket(server) as deflated:
        assert b"permessage-deflate" in str(deflated.response).encode()
        for size in (0, 1, 125, 126, 65_535, 65_536, 70_000, 3_000_000):
            data = os.urandom(size // 2) + bytes(size - size // 2)
            for connection in (plain, deflated):
                connection.send(data)
                assert connection.recv(20) == data
                connection.send("é" * size)
                assert connection.recv(20) == "é" * size
        assert plain.ping(b"are you there").wait(20)
        assert get(server.address, "/told").status == 200
    assert plain.close_code == deflated.close_code == 1000
    wait_until(lambda: told(server)["ends"] == [closed(1000), closed(1000)], "what it has to tell")


def test_many_messages_both_ways_at_once(server: Portway) -> None:
    with websocket(server) as connection:

        def send() -> None:
            for number in range(3000):
                connection.send(str(number) * 100)

        sender = threading.Thread(target=send)
        sender.start()
        assert [connection.recv(20) for _ in range(3000)] == [str(n) * 100 for n in range(3000)]
        sender.join()


def test_one_task_receives_and_another_sends(server: Portway) -> None:
    with websocket(server, "/concurrent") as connection:
        connection.send("me too")
        heard = [connection.recv(20) for _ in range(20)]
        assert "ME TOO" in heard
        assert "tick 1" in heard
    wait_until(lambda: told(server)["ends"] == [closed(1000)], "what it has to tell")


def test_frames_in_any_pieces(server: Portway) -> None:
    """Cut at each byte, and all at once; fragments with a ping between them; an empty fragment at the end."""
    message = frame(TEXT, b"a" * 130) + frame(BINARY, b"", fin=False) + frame(PING, b"p") + frame(0, b"bc")
    expected = {(0x81, b"a" * 130), (0x8A, b"p"), (0x82, b"bc")}
    with Raw(server) as client:
        for _ in range(2):
            client.send(message)
            # the pong is the server's own, the others come round through the application
            assert {client.frame() for _ in range(3)} == expected
        for byte in message:
            client.send(bytes([byte]))
        assert {client.frame() for _ in range(3)} == expected
        client.send(b"".join(frame(TEXT, b"x") for _ in range(500)))
        assert [client.frame() for _ in range(500)] == [(0x81, b"x")] * 500
        whole = "é€😀".encode()
        pieces = [frame(TEXT, whole[:1], fin=False)]
        pieces += [frame(0, whole[n : n + 1], fin=False) for n in range(1, len(whole))]
        client.send(b"".join(pieces) + frame(0))
        assert client.frame() == (0x81, whole)
        client.send(frame(CLOSE, b"\x03\xe8done"))
        assert client.closed() == (1000, "done")
    wait_until(lambda: told(server)["ends"] == [closed(1000, "done")], "what it has to tell")


def test_frames_that_do_not_wait_for_the_answer(server: Portway) -> None:
    with Raw(server, early=frame(TEXT, b"early")) as client:
        assert client.frame() == (0x81, b"early")
    with Raw(server, early=frame(TEXT, b"unread") + frame(CLOSE, b"\x0f\xa0")) as client:
        assert client.closed() == (4000, "")


# -- the handshake -----------------------------------------------------------------------------------------


def test_the_scope_and_the_answer(server: Portway) -> None:
    more = b"X-A: 1\r\nX-A: 2\r\nSec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Protocol: last\r\n"
    with Raw(server, "/facts/%C3%A9?q=%20", more) as client:
        lines = client.head.lower().split(b"\r\n")
        assert lines[0] == b"http/1.1 101 switching protocols"
        for line in (b"connection: upgrade", b"upgrade: websocket", b"sec-websocket-protocol: last"):
            assert lines.count(line) == 1, client.head
        assert ACCEPTED in client.head
        assert b"x-seen: yes" in lines
        assert not [line for line in lines if line.startswith((b"content-length", b"transfer-encoding"))]
        _, body = client.frame()
        scope = json.loads(body)
        assert client.frame() == (0x88, b"\x03\xe8")
        client.send(frame(CLOSE, b"\x03\xe8"))
        assert client.rest() == b""
    secure = type(server.address) is not tuple
    assert scope["type"] == "websocket"
    assert scope["scheme"] == ("wss" if secure else "ws")
    assert scope["path"] == "/facts/é"
    assert scope["raw_path"] == "/facts/%C3%A9"
    assert scope["query_string"] == "q=%20"
    assert scope["subprotocols"] == ["chat", "superchat", "last"]
    assert scope["state"] == {"greeting": "hello"}
    assert scope["asgi"]["version"] == "3.0"
    assert scope["http_version"] == "1.1"
    assert set(scope["extensions"]) == {"websocket.http.response", *(["tls"] if secure else [])}
    assert "method" not in scope
    assert [value for name, value in scope["headers"] if name == "x-a"] == ["1", "2"]
    assert not [key for key in scope if key.startswith("portway")]


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"Version: 13", b"Version: 8", 400),
        (b"Sec-WebSocket-Version: 13\r\n", b"", 400),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"short", 400),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"\xff\xfe", 400),
        (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b"", 400),
        (b"\r\n\r\n", b"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", 400),
        (b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: \xc3\xa9\r\n\r\n", 400),
        (b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: a,,b\r\n\r\n", 400),
        (b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: ;;\r\n\r\n", 400),
        # a server may ignore Upgrade, and the application has its ordinary request
        (b"keep-alive, Upgrade", b"keep-alive", 200),
        (b"Upgrade: WebSocket", b"Upgrade: h2c", 200),
        (b"Upgrade: WebSocket", b"Upgrade: websocket, h2c", 200),
        (b"\r\n\r\n", b"\r\nUpgrade: websocket\r\n\r\n", 200),
        (b"HTTP/1.1", b"HTTP/1.0", 200),
        (b"GET", b"POST", 200),
        (b"\r\n\r\n", b"\r\nContent-Length: 4\r\n\r\nbody", 200),
    ],
)
def test_a_handshake_that_is_none(server: Portway, old: bytes, new: bytes, status: int) -> None:
    with Client(server.address) as client:
        client.send((OPENING % (b"/echo", b"")).replace(old, new, 1))
        answer = client.answer()
        assert answer.status == status, answer.body
        assert answer.status == 400 or json.loads(answer.body)["type"] == "http"
        assert (answer.headers.get("sec-websocket-version") == "13") == (b"Version: 8" in new)


def test_a_handshake_refused_by_the_application(server: Portway) -> None:
    with Client(server.address) as client:
        client.send(OPENING % (b"/refuse", b""))
        answer = client.answer()
        assert (answer.status, answer.body) == (403, b"")
        client.send(OPENING % (b"/deny", b""))  # the connection is one of HTTP still
        answer = client.answer()
        assert (answer.status, answer.body, answer.headers["x-why"]) == (401, b"not you", "no")
        assert client.get("/told").status == 200
    wait_until(lambda: told(server)["ends"] == [closed(1006)], "what it has to tell")
    assert told(server)["seen"] == ["ClientDisconnected"]
    assert "failed" not in log_of(server)


def test_a_refusal_that_the_server_outlives(tmp_path: Path) -> None:
    """The application's own response has an end, so a drain leaves it its time."""
    gate = tmp_path / "gate"
    with serve("epoll", "--graceful-timeout", "30") as server:
        server.ready()
        with Client(server.address) as client:
            client.send(OPENING % (b"/deny-slowly?%s" % bytes(gate), b""))
            assert client._until(b"first").startswith(b"HTTP/1.1 401 ")
            server.send(signal.SIGTERM)
            server.wait_for("stopping gracefully")
            threading.Event().wait(0.5)  # some rounds of the drain
            gate.touch()
            assert client.rest().endswith(b"last\r\n0\r\n\r\n")
        assert server.exit_code() == 0


@pytest.mark.parametrize("path", ["forget", "fail", "subprotocol", "reserved", "split"])
def test_an_application_that_fails_before_it_accepts(server: Portway, path: str) -> None:
    with Client(server.address) as client:
        client.send(OPENING % (b"/" + path.encode(), b""))
        assert client.answer().status == 500
    server.wait_for(f"the application failed at GET /{path}")


# -- ends --------------------------------------------------------------------------------------------------


def test_an_application_that_fails_afterwards(server: Portway) -> None:
    with Raw(server, "/fail-later") as client:
        first, data = client.frame()
        assert (first, data) == (0x88, b"\x03\xf3")
        client.send(frame(CLOSE, data))
        assert client.rest() == b""
    server.wait_for("the application failed at GET /fail-later")
    server.wait_for("ValueError: after")


def test_an_application_that_just_returns(server: Portway) -> None:
    with websocket(server, "/leave") as connection:
        assert connection.recv(20) == "bye"
        with pytest.raises(ConnectionClosed):
            connection.recv(20)
        assert connection.close_code == 1000
    assert "failed" not in log_of(server)


def test_an_application_that_closes(server: Portway) -> None:
    with websocket(server, "/close") as connection:
        with pytest.raises(ConnectionClosed):
            connection.recv(20)
        assert (connection.close_code, connection.close_reason) == (4001, "enough")
    wait_until(lambda: told(server)["ends"] == [closed(4001, "enough")], "what it has to tell")
    assert told(server)["seen"] in (
        ["RuntimeError", "websocket.disconnect"],
        ["ClientDisconnected", "websocket.disconnect"],
    )


def test_what_applications_of_other_servers_send(server: Portway) -> None:
    """No subprotocol as "", and bytes where there is a text beside them."""
    with websocket(server, "/loose", subprotocols=["chat"]) as connection:
        assert connection.subprotocol is None
        assert [connection.recv(20) for _ in range(3)] == [b"bytes", b"bytes", "text"]


def test_a_failure_is_logged_though_the_worker_ends(tmp_path: Path) -> None:
    with serve("epoll", "--graceful-timeout", "1") as server:
        server.ready()
        with Raw(server, "/fail-later") as client:
            assert client.frame() == (0x88, b"\x03\xf3")
            server.send(signal.SIGTERM)
            assert server.exit_code() == 0
    assert "ValueError: after" in server.log


def test_a_failure_is_logged_before_the_client_has_answered_the_close() -> None:
    with serve("epoll") as server:
        with Raw(server.ready(), "/fail-later") as client:
            assert client.frame() == (0x88, b"\x03\xf3")
            server.wait_for("ValueError: after")
            client.sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.sock.recv(1)
        assert server.stop() == 0
    assert server.log.count("the application failed at GET /fail-later") == 1
    assert server.log.count("error:") == 1


def test_a_close_code_that_none_may_send(server: Portway) -> None:
    with websocket(server, "/close-wrongly") as connection:
        with pytest.raises(ConnectionClosed):
            connection.recv(20)
        assert connection.close_code == 1011
    server.wait_for("the application failed at GET /close-wrongly")


def test_a_client_that_never_answers_a_close() -> None:
    with serve("epoll") as server, Raw(server.ready(), "/leave") as client:
        assert client.frame() == (0x81, b"bye")
        assert client.closed() == (1000, "")  # after CLOSE_S


@pytest.mark.parametrize("how", ["reset", "end"])
def test_a_client_that_just_goes(server: Portway, how: str) -> None:
    with contextlib.suppress(ConnectionLost, OSError), Raw(server) as client:
        client.send(frame(TEXT, b"x"))
        assert client.frame() == (0x81, b"x")
        if how == "reset":
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.sock.close()
        else:
            client.sock.shutdown(socket.SHUT_WR)
            client.rest()
    wait_until(lambda: told(server)["ends"] == [closed(1006)], "what it has to tell")
    assert "failed" not in log_of(server)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, b"x", mask=b""), 1002),
        (frame(TEXT | 0x40, b"x"), 1002),
        (frame(TEXT | 0x10, b"x"), 1002),
        (frame(3, b"x"), 1002),
        (frame(0, b"x"), 1002),
        (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(PING, b"x", fin=False), 1002),
        (frame(CLOSE, b"\x03"), 1002),
        (frame(CLOSE, b"\x03\xed"), 1002),
        (frame(CLOSE, b"\x03\xe8\xff"), 1007),
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, b"\xed\xa0\x80"), 1007),
        (frame(TEXT, b"\xc3", fin=False) + frame(0, b"x"), 1007),
        (b"\x82\xff" + b"\xff" * 8, 1009),
        (b"\x82\xff" + b"\x7f" + b"\xff" * 7, 1009),
        (frame(BINARY, bytes(16 * 1024 * 1024 + 1)), 1009),
        (frame(BINARY, bytes(9 << 20), fin=False) + frame(0, bytes(9 << 20)), 1009),
    ],
)
def test_frames_that_break_the_rules(server: Portway, data: bytes, code: int) -> None:
    with Raw(server) as client:
        client.send(frame(BINARY, b"fine"))
        assert client.frame() == (0x82, b"fine")
        with contextlib.suppress(ConnectionLost, OSError):
            client.send(data)
        with contextlib.suppress(ConnectionLost):  # more comes than is read of it
            assert client.closed()[0] == code
    wait_until(lambda: [end["code"] for end in told(server)["ends"]] == [code], "what it has to tell")
    assert "failed" not in log_of(server)


def test_a_message_is_measured_after_it_is_inflated(server: Portway) -> None:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -12)
    bomb = deflate.compress(bytes(200 << 20)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    with Raw(server, more=b"Sec-WebSocket-Extensions: permessage-deflate\r\n") as client:
        client.send(frame(BINARY | 0x40, bomb[:-4]))
        assert client.closed()[0] == 1009
    (worker,) = server.workers()
    status = Path(f"/proc/{worker}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak < 150_000, f"{peak} KiB"


# -- who does not take what comes --------------------------------------------------------------------------


def test_a_client_is_made_to_wait_for_its_application(server: Portway, tmp_path: Path) -> None:
    """What the sockets hold, and 64 KiB, is taken; the rest waits where it is, and nothing is lost."""
    gate = tmp_path / "gate"
    sent = threading.Event()
    with websocket(server, f"/slow?{gate}", compression=None, ping_interval=None) as connection:

        def send() -> None:
            for _ in range(1000):
                connection.send(bytes(65536))
            sent.set()

        sender = threading.Thread(target=send)
        sender.start()
        assert not sent.wait(1), "64 MiB fit into the buffers of nobody"
        assert get(server.address, "/told").status == 200
        gate.touch()
        sender.join(60)
        wait_until(lambda: told(server)["seen"] == [str(1000 * 65536)], "what it has to tell")
    wait_until(lambda: told(server)["ends"] == [closed(1000)], "what it has to tell")


def test_an_application_is_made_to_wait_for_its_client(server: Portway) -> None:
    with Raw(server, "/flood") as client:
        client._exactly(1000)
        before, now = None, told(server)["seen"]
        while before != now:
            before = now
            threading.Event().wait(0.3)
            now = told(server)["seen"]
        assert int(now[0]) < 1000, "not all of it was sent into memory"
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wait_until(lambda: told(server)["seen"][1:] == ["ClientDisconnected"], "what it has to tell")
    assert "failed" not in log_of(server)


def test_a_client_that_hears_no_ping() -> None:
    with serve("epoll", "--ws-ping-interval", "0.2", "--ws-ping-timeout", "0.2") as server:
        server.ready()
        with Raw(server) as client:
            first, data = client.frame()
            assert (first, len(data)) == (0x89, 4)
            assert client.closed() == (1011, "keepalive ping timeout")
        wait_until(
            lambda: told(server)["ends"] == [closed(1011, "keepalive ping timeout")], "what it has to tell"
        )


def test_pings_that_are_answered_and_messages_that_count_as_an_answer() -> None:
    with serve("epoll", "--ws-ping-interval", "0.05", "--ws-ping-timeout", "15") as server:
        server.ready()
        with Raw(server) as client:
            for answer in (frame(PONG, b"stale"), frame(TEXT, b""), b""):
                first, data = client.frame()
                while first == 0x81:
                    first, data = client.frame()
                assert first == 0x89
                client.send(answer or frame(PONG, data))
            client.send(frame(CLOSE))
        wait_until(lambda: told(server)["ends"] == [closed(1005)], "what it has to tell")


def test_no_pings_for_an_application_that_is_busy(tmp_path: Path) -> None:
    """What a client sends is not read while its application takes nothing: its pongs are not either."""
    options = ("--ws-ping-interval", "0.1", "--ws-ping-timeout", "0.1", "--ws-max-queue", "1")
    gate = tmp_path / "gate"
    with serve("epoll", *options) as server:
        server.ready()
        with websocket(server, f"/slow?{gate}", ping_interval=None) as connection:
            for _ in range(3):
                connection.send(b"x")
            threading.Event().wait(1)
            gate.touch()
            wait_until(lambda: told(server)["seen"] == ["3"], "what it has to tell")


# -- the server's own end ----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["epoll", "poll-tls"])
def test_a_reload_tells_everybody_at_once(way: str) -> None:
    """1012, so that they connect again; the old worker is gone long before the graceful timeout."""
    with serve(way, "--graceful-timeout", "600") as server:
        (old,) = server.ready().workers()
        with websocket(server) as first, websocket(server) as second:
            server.send(signal.SIGHUP)
            for connection in (first, second):
                with pytest.raises(ConnectionClosed):
                    connection.recv(20)
                assert (connection.close_code, connection.close_reason) == (1012, "service restart")
        server.ready(2)
        wait_until(lambda: old not in server.workers(), "what it has to tell")
        with websocket(server) as again:
            again.send("x")
            assert again.recv(20) == "x"


def test_a_stop_cuts_who_does_not_answer() -> None:
    with serve("epoll", "--graceful-timeout", "1") as server:
        server.ready()
        with Raw(server) as client:
            server.send(signal.SIGTERM)
            first, data = client.frame()
            assert (first, data) == (0x88, b"\x03\xf4service restart")
            assert client.rest() == b""
        assert server.exit_code() == 0


def test_a_handshake_that_is_not_decided_when_the_server_stops(tmp_path: Path) -> None:
    app = tmp_path / "undecided.py"
    app.write_text(
        "async def app(scope, receive, send):\n"
        "    if scope['type'] == 'lifespan':\n"
        "        raise NotImplementedError\n"
        "    if scope['type'] == 'http':\n"
        "        await send({'type': 'http.response.start', 'status': 200})\n"
        "        await send({'type': 'http.response.body'})\n"
        "        return\n"
        "    await receive()\n"
        "    assert (await receive())['code'] == 1012\n"
    )
    with serve("epoll", "--graceful-timeout", "2", app=app) as server:
        server.ready()
        with Client(server.address) as client:
            client.send(OPENING % (b"/", b""))
            get(server.address, "/")  # answered, so the handshake before it was begun
            server.send(signal.SIGTERM)
            assert client.answer().status == 503
        assert server.exit_code() == 0


def test_how_long_one_lived_is_no_latency(tmp_path: Path) -> None:
    control = tmp_path / "control"
    with serve("epoll", "--slow-request", "0.01", "--control", str(control)) as server:
        server.ready()
        with websocket(server) as connection:
            threading.Event().wait(0.1)
            connection.send("x")
            assert connection.recv(20) == "x"

        wait_until(lambda: ctl_json(control, "status")["totals"]["statuses"] == {"101": 1}, "the count of it")
        found = ctl_json(control, "status")
        assert found["totals"]["latency"]["count"] == 0
        assert found["slow"] == []


# -- where there are none ----------------------------------------------------------------------------------


def test_they_can_be_turned_off() -> None:
    with serve("epoll", "--ws", "none") as server:
        server.ready()
        with pytest.raises(InvalidStatus) as refusal:
            websocket(server).close()
        assert refusal.value.response.status_code == 200


def test_without_the_library(tmp_path: Path) -> None:
    """The application has an ordinary request, and the log says, once, what to install."""
    (tmp_path / "websockets").mkdir()
    (tmp_path / "websockets" / "__init__.py").write_text(
        "raise ModuleNotFoundError('No module named websockets', name='websockets')\n"
    )
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    with serve("epoll", PYTHONPATH=paths) as server:
        server.ready()
        for _ in range(2):
            with Client(server.address) as client:
                client.send(OPENING % (b"/echo", b""))
                assert json.loads(client.answer().body)["type"] == "http"
        server.wait_for(r"pip install 'portway\[websockets\]'")
        assert server.log.count("pip install") == 1
