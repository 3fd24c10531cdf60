"""TLS on the engine's own sockets: handshakes, records cut anywhere, ends, and those who speak otherwise."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
import zlib
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.engine.conftest import TLS_WAYS, serve
from tests.engine.wire import GET, Wire
from tests.support.certificates import certificate, client_context
from tests.support.client import get
from tests.support.pace import paced
from tests.support.processes import Portway

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
NAME = "portway.test"
HELLO = GET % b"/hello"
POST = b"POST %s HTTP/1.1\r\nHost: portway.test\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture(scope="module", params=TLS_WAYS)
def secure(request: pytest.FixtureRequest) -> Iterator[Portway]:
    """A server with TLS, and in it one thread: whatever blocks there blocks everybody."""
    with serve(request.param, "app", "--threads", "1") as server:
        (worker,) = server.ready().workers()
        yield server
        assert server.workers() == [worker], server.log
        assert server.stop() == 0
        assert "failed at engine" not in server.log, server.log


class Sealed:
    """A client whose records are in its own hands: what goes to the server is sent when and how it says."""

    def __init__(self, address: tuple[str, int], version: ssl.TLSVersion | None = None) -> None:
        self.sock = socket.create_connection(address, 15)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client_context(version=version).wrap_bio(
            self.incoming, self.outgoing, server_hostname=NAME
        )

    def __enter__(self) -> Sealed:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def take(self) -> None:
        """Receive something from the server."""
        data = self.sock.recv(65536)
        self.incoming.write(data) if data else self.incoming.write_eof()

    def pass_on(self, size: int) -> None:
        """Send what TLS wants to send, in pieces."""
        data = self.outgoing.read()
        for at in range(0, len(data), size):
            self.sock.sendall(data[at : at + size])

    def shake(self, size: int = 1 << 20) -> None:
        """Do the handshake in pieces of some bytes."""
        while True:
            try:
                self.tls.do_handshake()
                return self.pass_on(size)
            except ssl.SSLWantReadError:
                self.pass_on(size)
                self.take()

    def read(self, size: int) -> bytes:
        """Return exactly so many bytes.

        Raises:
            EOFError: The server has announced its end.
            ssl.SSLEOFError: It has not, and is gone.
        """
        data = b""
        while len(data) < size:
            try:
                piece = self.tls.read(size - len(data))
            except ssl.SSLWantReadError:
                self.take()
                continue
            if not piece:
                raise EOFError
            data += piece
        return data

    def response(self) -> bytes:
        """Return the body of a response of /hello."""
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            data += self.read(1)
        return self.read(5)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_records_in_pieces(secure: Portway, version: ssl.TLSVersion, size: int) -> None:
    with Sealed(secure.address, version) as client:
        client.shake(size)
        for _ in range(3):
            client.tls.write(HELLO)
            client.pass_on(size)
            assert client.response() == b"hello"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_record_cut_at_every_byte(secure: Portway, version: ssl.TLSVersion) -> None:
    """Between the pieces somebody else is served: the server has seen the first when the second comes."""
    with Sealed(secure.address, version) as client, Wire(secure.address) as other:
        client.shake()
        client.tls.write(HELLO)
        total = client.outgoing.pending
        data = client.outgoing.read()
        for cut in range(1, total):
            client.sock.sendall(data[:cut])
            assert other.get("/hello").body == b"hello"
            client.sock.sendall(data[cut:])
            assert client.response() == b"hello"
            client.tls.write(HELLO)
            data = client.outgoing.read()


def test_requests_across_records_and_records_with_requests(secure: Portway) -> None:
    with Sealed(secure.address) as client:
        client.shake()
        for size in (1, 13, len(HELLO) * 2 + 5, 16000):
            data = HELLO * 40
            for at in range(0, len(data), size):
                client.tls.write(data[at : at + size])
            client.pass_on(1 << 20)
            for _ in range(40):
                assert client.response() == b"hello"


def test_stuck_handshakes_hold_nobody_up(secure: Portway) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(Sealed(secure.address)) for _ in range(100)]
        hellos = []
        for number, client in enumerate(clients):
            with contextlib.suppress(ssl.SSLWantReadError):
                client.tls.do_handshake()
            hello = client.outgoing.read()
            hellos.append((hello, number * len(hello) // len(clients)))
            client.sock.sendall(hello[: hellos[-1][1]])
        with Wire(secure.address) as wire:
            for _ in range(20):
                assert wire.get("/hello").body == b"hello"
        for client, (hello, sent) in zip(clients, hellos, strict=True):
            client.sock.sendall(hello[sent:])
            client.shake()
            client.tls.write(HELLO)
            client.pass_on(1 << 20)
            assert client.response() == b"hello"


@pytest.mark.parametrize("way", TLS_WAYS)
def test_a_handshake_has_a_deadline(way: str) -> None:
    deadline_s = 0.6
    with serve(way, "app", "--header-timeout", str(deadline_s)) as server:
        address = server.ready().address
        for pace in paced(deadline_s):
            with pace, ExitStack() as stack:
                silent = stack.enter_context(socket.create_connection(address, 30))
                begun, shaken = [stack.enter_context(Sealed(address)) for _ in range(2)]
                with contextlib.suppress(ssl.SSLWantReadError):
                    begun.tls.do_handshake()
                begun.sock.sendall(begun.outgoing.read()[:50])
                shaken.shake()
                partial = stack.enter_context(Sealed(address))
                partial.shake()
                partial.tls.write(HELLO)
                partial.pass_on(1 << 20)
                assert partial.response() == b"hello"
                partial.tls.write(HELLO)
                # a record that never ends is no idle connection
                partial.sock.sendall(partial.outgoing.read()[:-1])
                pace.over()
                assert silent.recv(1) == b""
                assert begun.sock.recv(1) == b""
                for client in (shaken, partial):
                    while client.sock.recv(65536):
                        pass


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"POST /x HTTP/1.1\r\nContent-Length: 9\r\n\r\n123456789"]
)
def test_plain_http_is_told_so(secure: Portway, data: bytes) -> None:
    with socket.create_connection(secure.address, 15) as sock:
        sock.sendall(data)
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n") and b"Connection: close\r\n" in answer
    assert answer.endswith(b"speaks HTTPS, and the request was plain HTTP.\n")
    secure.wait_for("refused a request from 127.0.0.1: 400, plain HTTP on a port for TLS")


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\x16", b"\x16\x03\x01\x02\x00", b"\0" * 5000, b"\xff" * 100, b"SSH-2.0-OpenSSH_9.9\r\n"),
        *(b"\x16\x03\x01\x00\x05hello", b"\x80\x2e\x01\x00\x02" + b"a" * 60, b"\x15\x03\x03\x00\x02\x01\x00"),
        *(b"\x17\x03\x03\xff\xff" + b"z" * 70_000, os.urandom(3000)),
    ],
)
def test_rubbish_ends_its_own_connection_only(secure: Portway, data: bytes) -> None:
    with Wire(secure.address) as other:
        assert other.get("/hello").body == b"hello"
        with socket.create_connection(secure.address, 15) as sock, contextlib.suppress(OSError):
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
        assert other.get("/hello").body == b"hello"


@pytest.mark.parametrize("where", ["handshake", "records"])
def test_bytes_turned_over_on_the_way(secure: Portway, where: str) -> None:
    with Wire(secure.address) as other, Sealed(secure.address) as client:
        if where == "handshake":
            with contextlib.suppress(ssl.SSLWantReadError):
                client.tls.do_handshake()
        else:
            client.shake()
            client.tls.write(HELLO)
        data = bytearray(client.outgoing.read())
        data[len(data) // 2] ^= 0xFF
        with contextlib.suppress(OSError):
            client.sock.sendall(data)
            client.sock.shutdown(socket.SHUT_WR)
            while client.sock.recv(65536):
                pass
        assert other.get("/hello").body == b"hello"


@pytest.mark.parametrize("version", VERSIONS)
def test_big_bodies_both_ways(secure: Portway, version: ssl.TLSVersion) -> None:
    body = os.urandom(1 << 20) * 3
    with (
        socket.create_connection(secure.address, 15) as plain,
        client_context(version=version).wrap_socket(plain, server_hostname=NAME) as sock,
    ):
        sock.sendall(POST % (b"/sum", len(body)) + body)
        expected = f"{len(body)} {zlib.crc32(body):08x}".encode()
        answer = b""
        while not answer.endswith(expected):
            piece = sock.recv(65536)
            assert piece, answer
            answer += piece
    with Wire(secure.address) as wire:
        for path in (b"/big?9000000", b"/stream?9000000"):
            wire.send(GET % path)
            assert len(wire.final().body) == 9_000_000


def test_the_end_is_announced(secure: Portway) -> None:
    """After the last response comes close_notify: with it the client knows that nothing was cut off."""
    with Sealed(secure.address) as client:
        client.shake()
        client.tls.write(b"GET /hello HTTP/1.0\r\n\r\n")
        client.pass_on(1 << 20)
        assert client.response() == b"hello"
        with pytest.raises(EOFError):
            client.read(1)


def test_half_closed_by_close_notify(secure: Portway) -> None:
    """TLS 1.3: the client has ended its side in order, and still reads (RFC 8446 section 6.1)."""
    with Sealed(secure.address) as client:
        client.shake()
        client.tls.write(GET % b"/big?3000000")
        with contextlib.suppress(ssl.SSLWantReadError):
            client.tls.unwrap()
        client.pass_on(1 << 20)
        data = b""
        while piece := client.sock.recv(65536):
            data += piece
        assert len(data) > 3_000_000


def test_a_client_that_vanishes_in_each_phase(secure: Portway) -> None:
    with Wire(secure.address) as other:
        for phase in ("connect", "hello", "shaken", "request", "reading"):
            with Sealed(secure.address) as client:
                if phase == "hello":
                    with contextlib.suppress(ssl.SSLWantReadError):
                        client.tls.do_handshake()
                    client.pass_on(100)
                elif phase != "connect":
                    client.shake()
                if phase in ("request", "reading"):
                    client.tls.write(GET % b"/big?9000000")
                    client.pass_on(1 << 20)
                if phase == "reading":
                    client.sock.recv(1000)
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            assert other.get("/hello").body == b"hello"


def test_slow_readers_get_every_byte(secure: Portway) -> None:
    """The socket is full in the middle of records again and again; each must be sent again as it was."""
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(secure.address, receive_buffer=4096)) for _ in range(10)]
        for wire in wires:
            wire.send(GET % b"/stream?2000000" + GET % b"/big?2000000" + HELLO)
        for wire in wires:
            assert wire.final().body == b"y" * 2_000_000
            assert wire.final().body == b"x" * 2_000_000
            assert wire.final().body == b"hello"


@pytest.mark.parametrize("version", VERSIONS)
def test_sessions_are_resumed(secure: Portway, version: ssl.TLSVersion) -> None:
    context = client_context(version=version)
    session = None
    for number in range(4):
        with (
            socket.create_connection(secure.address, 15) as plain,
            context.wrap_socket(plain, server_hostname=NAME, session=session) as sock,
        ):
            sock.sendall(HELLO)
            assert sock.recv(1000)  # TLS 1.3 sends its tickets before the answer
            assert sock.session_reused == (number > 0)
            session = sock.session


def test_alpn(secure: Portway) -> None:
    context = client_context()
    context.set_alpn_protocols(["spdy/1", "http/1.1"])
    with (
        socket.create_connection(secure.address, 15) as plain,
        context.wrap_socket(plain, server_hostname=NAME) as sock,
    ):
        assert sock.selected_alpn_protocol() == "http/1.1"


def test_old_versions_are_refused(secure: Portway) -> None:
    context = client_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(secure.address, 15) as plain,
        pytest.raises((ssl.SSLError, ConnectionResetError)),
    ):
        context.wrap_socket(plain, server_hostname=NAME)
    secure.wait_for(r"info: closed a connection from 127.0.0.1: TLS handshake: unsupported protocol")


def test_server_names_that_are_none(secure: Portway) -> None:
    """An unknown name gets the first certificate; the bytes of one that is not ASCII reach no log."""
    context = client_context()
    context.check_hostname = False
    with socket.create_connection(secure.address, 15) as plain:
        with context.wrap_socket(plain, server_hostname="elsewhere.example") as sock:
            assert sock.version()
    with Sealed(secure.address) as client:
        with contextlib.suppress(ssl.SSLWantReadError):
            client.tls.do_handshake()
        hello = client.outgoing.read()
        assert hello.count(NAME.encode()) == 1
        with contextlib.suppress(OSError):
            client.sock.sendall(hello.replace(NAME.encode(), b"\xff\xfe" + NAME.encode()[2:]))
            while client.sock.recv(65536):
                pass
    assert get(secure.address, "/hello").body == b"hello"
    assert "UnicodeDecodeError" not in secure.log


def test_several_certificates() -> None:
    first, second, wild = certificate(NAME), certificate("second.test", rsa=True), certificate("*.wild.test")
    files = [part for made in (first, second, wild) for part in ("--certfile", str(made.chain))]
    keys = [part for made in (first, second, wild) for part in ("--keyfile", str(made.key))]
    with serve("wsgi-epoll", "app", *files, *keys) as server:
        for name in (NAME, "second.test", "SECOND.test", "any.wild.test"):
            with socket.create_connection(server.ready().address, 15) as plain:
                with client_context().wrap_socket(plain, server_hostname=name) as sock:
                    sock.sendall(HELLO)
                    assert sock.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        for name in ("two.any.wild.test", "wild.test", "other.test"):
            with (
                socket.create_connection(server.address, 15) as plain,
                pytest.raises(ssl.SSLCertVerificationError),
            ):
                client_context().wrap_socket(plain, server_hostname=name)


def test_what_breaks_a_connection_of_the_application_breaks_no_clients(secure: Portway) -> None:
    """OpenSSL's errors are those of a thread, and Python leaves some there."""
    for _ in range(3):
        with Wire(secure.address) as wire, Wire(secure.address) as other:
            other.send(HELLO[:-3])
            wire.send(GET % b"/upstream")
            assert wire.response().body in (b"BrokenPipeError", b"SSLEOFError")  # before Python 3.13
            other.shut()
            assert other.final().status == 400
            other.end()


@pytest.mark.parametrize("way", ["wsgi-epoll-tls", "asgi-epoll-tls"])
def test_binds_without_tls(way: str) -> None:
    with serve(way, "app", "--bind", "127.0.0.1:0", "--insecure-bind", "127.0.0.1:0") as server:
        match = server.ready().wait_for(r"listening on http://127.0.0.1:(\d+)$")
        assert get(("127.0.0.1", int(match[1])), "/hello").body == b"hello"
        assert get(server.address, "/hello").body == b"hello"
