"""What PEP 3333 promises an application: start_response, write, close, streaming, hints and files."""

from __future__ import annotations

import pytest

from tests.engine.conftest import WSGI_WAYS, server_fixture
from tests.engine.wire import GET, Wire
from tests.support.processes import Portway

served = server_fixture("contract", ways=WSGI_WAYS)


@pytest.fixture
def contract(served: Portway) -> Portway:
    """A server whose application remembers nothing of earlier tests."""
    with Wire(served.address) as wire:
        assert wire.get("/forget").status == 200
    return served


def happened(server: Portway, what: str) -> int:
    """Wait until something happened in the application; return how often it has."""
    with Wire(server.address) as wire:
        return int(wire.get(f"/happened?{what}").body)


def body_of(server: Portway, path: str) -> bytes:
    """Return the body of a response, and see that its connection lives on."""
    with Wire(server.address) as wire:
        response = wire.get(path)
        assert response.status == 200, response
        assert wire.get("/hello").body == b"hello"
        return response.body


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/starts-in-a-generator", b"onetwo"),
        ("/empty-before-start", b"hello"),
        ("/write", b"one two three"),
        ("/write-with-a-length", b"one two"),
        ("/closes-a-list", b"hello"),
        ("/file", (b"0123456789" * 300_000)[1:]),
        ("/file-with-a-length", b"2345"),
        ("/file-empty", b""),
        ("/file-past-its-end", b""),
        ("/file-in-memory", b"from memory" * 1000),
        ("/file-pipe", b"from a pipe"),
        ("/file-zipped", b"unzipped while it is sent"),
    ],
)
def test_bodies(contract: Portway, path: str, body: bytes) -> None:
    assert body_of(contract, path) == body


def test_a_second_start_needs_exc_info(contract: Portway) -> None:
    with Wire(contract.address) as wire:
        assert wire.get("/starts-twice").status == 500
        assert wire.get("/hello").body == b"hello"


def test_exc_info_replaces_the_head(contract: Portway) -> None:
    with Wire(contract.address) as wire:
        response = wire.get("/exc-info")
        assert (response.status, response.reason, response.body) == (502, "Bad Gateway", b"replaced")
        assert (response.all("x-wrong"), response["x-right"]) == ([], "1")


def test_exc_info_is_raised_again_when_the_head_is_out(contract: Portway) -> None:
    with Wire(contract.address) as wire:
        wire.send(GET % b"/exc-info-too-late")
        data = wire.rest()
    assert data.startswith(b"HTTP/1.1 200 ")
    assert b"never" not in data
    assert not data.endswith(b"0\r\n\r\n")
    contract.wait_for("ValueError: caught by the application")
    assert happened(contract, "closed-exc-info-too-late") == 1


def test_write_takes_bytes_only(contract: Portway) -> None:
    with Wire(contract.address) as wire:
        assert wire.get("/write-text").status == 500


@pytest.mark.parametrize("path", ["/closes", "/closes-a-list"])
def test_close_is_called_once(contract: Portway, path: str) -> None:
    with Wire(contract.address) as wire:
        assert wire.get(path).status == 200
        assert happened(contract, f"closed{path.replace('/', '-')}") == 1


def test_close_is_called_for_head(contract: Portway) -> None:
    with Wire(contract.address) as wire:
        wire.send(b"HEAD /closes HTTP/1.1\r\nHost: a\r\n\r\n")
        assert wire.final("HEAD").status == 200
        assert happened(contract, "closed-closes") == 1


def test_close_is_called_when_the_client_goes(contract: Portway) -> None:
    with Wire(contract.address) as wire:
        wire.send(GET % b"/endless")
        wire.sock.recv(1)
    assert happened(contract, "closed-endless") == 1


def test_a_generator_is_streamed_as_it_yields(contract: Portway) -> None:
    with Wire(contract.address) as wire, Wire(contract.address) as other:
        wire.send(GET % b"/two-steps")
        while b"first" not in wire.received:
            wire.received += wire.sock.recv(65536)
        assert b"second" not in wire.received
        assert other.get("/go").body == b"gone"
        response = wire.final()
        assert (response.body, response.chunks) == (b"firstsecond", (5, 6))


def test_early_hints(contract: Portway) -> None:
    with Wire(contract.address) as wire:
        wire.send(GET % b"/early-hints" * 2)
        for _ in range(2):
            first, second, final = wire.response(), wire.response(), wire.final()
            assert (first.status, second.status, final.body) == (103, 103, b"hello")
            assert first.all("link") == ["</style.css>; rel=preload", "</a.js>; rel=preload"]
            assert second.fields == (("link", "</b.js>; rel=preload"),)


def test_early_hints_are_nothing_for_http_1_0(contract: Portway) -> None:
    with Wire(contract.address) as wire:
        wire.send(b"GET /early-hints HTTP/1.0\r\n\r\n")
        assert wire.final().body == b"hello"


def test_early_hints_are_checked(contract: Portway) -> None:
    with Wire(contract.address) as wire:
        assert wire.get("/hostile-hints").status == 500
        assert wire.get("/hello").body == b"hello"


@pytest.mark.parametrize("path", ["/file", "/file-with-a-length", "/file-past-its-end"])
def test_files_are_sent_by_the_kernel_and_closed(contract: Portway, path: str) -> None:
    body_of(contract, path)
    assert happened(contract, "closed-file") == 1
    with Wire(contract.address) as wire:
        # a file that says it is empty is read: those of /proc say so and are not
        assert wire.get("/noted?read-file").body == (b"1" if path == "/file-empty" else b"0")


def test_head_of_a_file_reads_nothing(contract: Portway) -> None:
    with Wire(contract.address) as wire:
        wire.send(b"HEAD /file HTTP/1.1\r\nHost: a\r\n\r\n")
        assert wire.final("HEAD")["content-length"] == "2999999"
        assert wire.get("/hello").body == b"hello"
    assert happened(contract, "closed-file") == 1


def test_a_file_shorter_than_promised_costs_the_connection(contract: Portway) -> None:
    with Wire(contract.address) as wire:
        wire.send(GET % b"/file-too-short" * 2)
        data = wire.rest()
    assert data.count(b"HTTP/1.1 ") == 1
    assert data.endswith(b"\r\n\r\n0123456789")


def test_a_file_that_shrinks_costs_the_connection(contract: Portway) -> None:
    with Wire(contract.address, receive_buffer=4096) as wire:
        wire.send(GET % b"/file-that-shrinks" * 2)
        assert wire.sock.recv(1) == b"H"
        with Wire(contract.address) as other:
            assert other.get("/shrink").body == b"hello"
        assert len(wire.rest()) < 8_000_000


def test_a_closed_file_is_the_applications_error(contract: Portway) -> None:
    with Wire(contract.address) as wire:
        assert wire.get("/file-closed").status == 500
        assert wire.get("/hello").body == b"hello"


def test_nothing_can_be_sent_when_the_request_is_over(contract: Portway) -> None:
    """A kept `write` or `early_hints` would write into somebody's next response."""
    with Wire(contract.address) as wire:
        assert wire.get("/keeps-write").body == b"in time"
        with Wire(contract.address) as other:
            outcomes = other.get("/writes-late").body.decode().split()
        assert wire.get("/hello").body == b"hello"
    assert outcomes == ["RuntimeError", "RuntimeError"]
