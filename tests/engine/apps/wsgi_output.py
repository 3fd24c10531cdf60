"""A WSGI application whose output breaks a rule of PEP 3333 or of HTTP, another one on each path."""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

from tests.engine.apps.happening import Body, do_forget, do_happened, do_hello, do_noted

__all__ = ("app", "do_forget", "do_happened", "do_hello", "do_noted")


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Do what the path says."""
    name = environ["PATH_INFO"].strip("/").replace("-", "_")
    return globals()[f"do_{name}"](environ, start_response)


# -- lengths that are not true


def do_too_long(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello and much more"]


def do_too_long_in_pieces(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "5")])
    return iter([b"hel", b"lo and", b" much more", b"x" * 100_000])


def do_too_long_and_big(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "20000")])
    return iter([b"x" * 30_000, b"y" * 30_000])


def do_too_short(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "10")])
    return [b"hello"]


def do_too_short_in_pieces(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "10")])
    return iter([b"hel", b"lo"])


def do_nothing_of_it(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "10")])
    return []


def do_body_with_204(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("204 No Content", [("Content-Length", "5")])
    return [b"hello"]


def do_body_with_304(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("304 Not Modified", [("ETag", '"a"')])
    return iter([b"hello", b"again"])


# -- heads that HTTP does not allow: the query holds what is put there


def do_status(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response(hostile(environ), [])
    return [b"hello"]


def do_field_name(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("X-Before", "1"), (hostile(environ), "1"), ("X-After", "1")])
    return [b"hello"]


def do_field_value(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("X-Before", "1"), ("X", hostile(environ)), ("X-After", "1")])
    return [b"hello"]


def do_content_length(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", hostile(environ))])
    return [b"hello"]


def do_hop_by_hop(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    fields = (
        "Transfer-Encoding: chunked",
        "Keep-Alive: timeout=5",
        "Upgrade: h2c",
        "Proxy-Connection: close",
    )
    split = [field.split(": ") for field in fields]
    start_response("200 OK", [("Connection", "keep-alive"), *((name, value) for name, value in split)])
    return [b"hello"]


def hostile(environ: WSGIEnvironment) -> Any:
    """Return the text that the query holds in hexadecimal, or something that is no text at all."""
    text = bytes.fromhex(environ["QUERY_STRING"]).decode("utf-8", "surrogatepass")
    return {"None": None, "int": 200, "bytes": b"200 OK", "tuple": ("a", "b")}.get(text, text)


def do_headers_none(environ: WSGIEnvironment, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", None)
    return [b"hello"]


def do_headers_not_pairs(environ: WSGIEnvironment, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("a", "b", "c")])
    return [b"hello"]


def do_headers_of_strings(environ: WSGIEnvironment, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", ["Content-Type"])
    return [b"hello"]


# -- bodies that are no bytes, and applications that fail


def do_never_started(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return Body([b"hello"], "never-started")


def do_returns_none(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", [])


def do_returns_text(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", [])
    return ["hello"]


def do_returns_bytes(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", [])
    return b"hello"


def do_yields_text(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", [])
    return Body([b"first", "second"], "yields-text")


def do_yields_none(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", [("Content-Length", "10")])
    return Body([b"first", None], "yields-none")


def do_raises(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    raise ValueError("raised on purpose\r\nwith a line of its own")


def do_raises_after_start(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", [("X-Never", "sent")])
    raise ValueError("raised on purpose")


def do_raises_in_the_middle(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    def pieces() -> Iterator[bytes]:
        yield b"first"
        raise ValueError("raised on purpose")

    start_response("200 OK", [])
    return Body(pieces(), "raises-in-the-middle")


def do_raises_in_the_middle_of_a_length(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    def pieces() -> Iterator[bytes]:
        yield b"first"
        raise ValueError("raised on purpose")

    start_response("200 OK", [("Content-Length", "10")])
    return Body(pieces(), "raises-in-the-middle")


def do_raises_at_close(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    class Bad(Body):
        def close(self) -> None:
            raise ValueError("raised on purpose")

    start_response("200 OK", [("Content-Length", "5")])
    return Bad([b"hello"], "")


def do_exits(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    sys.exit("an application may not stop the server")


def do_raises_strangely(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    class Strange(Exception):
        def __str__(self) -> str:
            raise RuntimeError("not even its text")

    raise Strange


# -- files that are not what their descriptor says


class Loud(io.FileIO):
    """A file with a reading of its own."""

    def read(self, size: int | None = -1) -> bytes:
        return (super().read(size) or b"").upper()


def do_loud_file(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"quiet")
        file.flush()
        loud = Loud(file.name)
    start_response("200 OK", [])
    return environ["wsgi.file_wrapper"](loud)


def do_much_then_raise(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", [])
    yield b"x" * 8_000_000
    raise ValueError("in the middle of a body")
