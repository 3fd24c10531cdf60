"""A WSGI application that uses everything PEP 3333 allows it, and some things that it does not."""

from __future__ import annotations

import gzip
import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from tests.engine.apps.happening import Body, do_forget, do_happened, do_hello, do_noted, note, wait_for

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ("app", "do_forget", "do_happened", "do_hello", "do_noted")

late: dict[str, Callable[..., Any]] = {}


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Do what the path says."""
    name = environ["PATH_INFO"].strip("/").replace("-", "_")
    return globals()[f"do_{name}"](environ, start_response)


# -- the contract of start_response


def do_starts_twice(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", [])
    start_response("404 Not Found", [])
    return [b"hello"]


def do_exc_info(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", [("X-Wrong", "1")])
    try:
        raise ValueError("caught by the application")
    except ValueError:
        start_response("502 Bad Gateway", [("X-Right", "1")], sys.exc_info())
    return [b"replaced"]


def do_exc_info_too_late(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    def pieces() -> Iterator[bytes]:
        yield b"first"
        try:
            raise ValueError("caught by the application")
        except ValueError:
            start_response("500 Internal Server Error", [], sys.exc_info())
        yield b"never"

    start_response("200 OK", [])
    return Body(pieces(), "exc-info-too-late")


def do_starts_in_a_generator(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", [])
    yield b"one"
    yield b"two"


def do_empty_before_start(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    yield b""
    start_response("200 OK", [])
    yield b"hello"


def do_write(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    write = start_response("200 OK", [])
    write(b"one ")
    write(b"")
    write(b"two ")
    return [b"three"]


def do_write_with_a_length(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    write = start_response("200 OK", [("Content-Length", "7")])
    write(b"one ")
    return [b"two", b" too much"]


def do_write_text(environ: WSGIEnvironment, start_response: Any) -> Any:
    write = start_response("200 OK", [])
    write("text")
    return []


def do_keeps_write(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    late["write"] = start_response("200 OK", [])
    late["hints"] = environ["wsgi.early_hints"]
    late["start"] = start_response
    late["read"] = environ["wsgi.input"].read
    late["write"](b"in time")
    return []


def do_writes_late(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    outcomes = []
    for name, argument in (("write", b"INJECTED"), ("hints", [("Link", "</injected>")])):
        try:
            late[name](argument)
            outcomes.append("accepted")
        except Exception as error:
            outcomes.append(type(error).__name__)
    start_response("200 OK", [])
    return [" ".join(outcomes).encode()]


# -- closing, streaming, hints, files


def do_closes(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", [])
    return Body([b"a", b"b"], "closes")


def do_closes_a_list(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    class Closing(list[bytes]):
        def close(self) -> None:
            note("closed-closes-a-list")

    start_response("200 OK", [])
    return Closing([b"hello"])


def do_endless(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    def pieces() -> Iterator[bytes]:
        while True:
            yield b"z" * 65536

    start_response("200 OK", [])
    return Body(pieces(), "endless")


def do_two_steps(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Yield the second piece when somebody asks for /go."""

    def pieces() -> Iterator[bytes]:
        yield b"first"
        wait_for("go")
        yield b"second"

    start_response("200 OK", [])
    return pieces()


def do_go(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    note("go")
    start_response("200 OK", [])
    return [b"gone"]


def do_early_hints(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    hints = environ["wsgi.early_hints"]
    hints([("Link", "</style.css>; rel=preload"), ("Link", "</a.js>; rel=preload")])
    hints([("Link", "</b.js>; rel=preload")])
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]


def do_hostile_hints(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    environ["wsgi.early_hints"]([("Link", "</a>\r\nX-Injected: 1")])
    start_response("200 OK", [])
    return [b"hello"]


def do_file(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Send a file of 3 MB from its second byte on."""
    start_response("200 OK", [])
    return wrapped(environ, stored(b"0123456789" * 300_000, 1))


def do_file_with_a_length(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", [("Content-Length", "4")])
    return wrapped(environ, stored(b"0123456789", 2))


def do_file_too_short(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", [("Content-Length", "40")])
    return wrapped(environ, stored(b"0123456789", 0))


def do_file_empty(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", [])
    return wrapped(environ, stored(b"", 0))


def do_file_past_its_end(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", [])
    return wrapped(environ, stored(b"0123456789", 20))


def do_file_that_shrinks(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Promise 8 MB, and cut the file while the client does not read."""
    file = stored(b"x" * 8_000_000, 0)
    late["truncate"] = os.fdopen(os.dup(file.fileno()), "r+b").truncate
    start_response("200 OK", [])
    return wrapped(environ, file)


def do_shrink(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    late.pop("truncate")(10)
    return do_hello(environ, start_response)


def do_file_in_memory(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", [])
    return wrapped(environ, io.BytesIO(b"from memory" * 1000))


def do_file_pipe(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    reading, writing = os.pipe()
    os.write(writing, b"from a pipe")
    os.close(writing)
    start_response("200 OK", [])
    return wrapped(environ, os.fdopen(reading, "rb"))


def do_file_zipped(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", [])
    return wrapped(environ, gzip.open(stored(gzip.compress(b"unzipped while it is sent"), 0)))


def do_file_closed(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    file = stored(b"gone", 0)
    file.close()
    start_response("200 OK", [])
    return wrapped(environ, file)


class Watched(io.FileIO):
    """A real file that writes down whether it was read, which moves its position, and that it was closed."""

    position = 0

    def close(self) -> None:
        if not self.closed:
            if self.tell() != self.position:
                note("read-file")
            note("closed-file")
        super().close()


def stored(data: bytes, position: int) -> Watched:
    """Return a file with these bytes that stands at some position."""
    descriptor, name = tempfile.mkstemp()
    os.unlink(name)
    file = Watched(descriptor, "r+b")
    file.write(data)
    file.position = file.seek(position)
    return file


def wrapped(environ: WSGIEnvironment, file: Any) -> Any:
    """Wrap a file as PEP 3333 tells applications to."""
    return environ["wsgi.file_wrapper"](file, 4096)
