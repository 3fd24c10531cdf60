"""A WSGI application that behaves. asgi_app.py answers every one of its paths in the same way."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PIECE = 65536
MOST_S = 20.0

calls: Counter[str] = Counter()
held: dict[str, threading.Event] = {}
changed = threading.Condition()


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Do what the path says."""
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    with changed:
        calls[path] += 1
        changed.notify_all()
    match path.split("/")[1:]:
        case ["echo"]:
            return answer(start_response, environ["wsgi.input"].read())
        case [*_, "facts"] | ["facts", *_]:
            return answer(start_response, json.dumps(facts(environ)).encode())
        case ["sum"]:
            return answer(start_response, checksum(environ["wsgi.input"]))
        case ["calls"]:
            return answer(start_response, str(calls[query]).encode())
        case ["status", code]:
            start_response(f"{code} Something", [])
            return []
        case ["close"]:
            return answer(start_response, b"closing", ("Connection", "close"))
        case ["pieces"]:
            start_response("200 OK", [])
            return iter([b"one ", b"", b"two ", b"three"])
        case ["big"]:
            return answer(start_response, b"x" * int(query))
        case ["stream"]:
            start_response("200 OK", [])
            return stream(int(query))
        case ["ticks"]:
            start_response("200 OK", [])
            return ticks(query)
        case ["burst"]:
            start_response("200 OK", [])
            return burst(query)
        case ["hold"]:
            return answer(start_response, hold(query))
        case ["release"]:
            return answer(start_response, release(query))
        case ["upstream"]:
            from tests.engine.apps.upstream import ask_one_that_breaks_off  # late: slow to import

            return answer(start_response, ask_one_that_breaks_off())
        case ["raise"]:
            raise ValueError("raised on purpose")
    return answer(start_response, b"hello")


def answer(start_response: StartResponse, body: bytes, *fields: tuple[str, str]) -> list[bytes]:
    """Answer 200 with a body of known length."""
    start_response("200 OK", [("Content-Length", str(len(body))), *fields])
    return [body]


def facts(environ: WSGIEnvironment) -> dict[str, Any]:
    """Return the environ, as far as JSON can hold it."""
    return {key: value for key, value in environ.items() if isinstance(value, (str, bool, tuple, int))}


def checksum(body: Any) -> bytes:
    """Read a body piece by piece; return its size and CRC."""
    size = crc = 0
    while piece := body.read(PIECE):
        size += len(piece)
        crc = zlib.crc32(piece, crc)
    return f"{size} {crc:08x}".encode()


def stream(size: int) -> Iterator[bytes]:
    """Yield that many bytes in pieces."""
    for start in range(0, size, PIECE):
        yield b"y" * min(PIECE, size - start)


def ticks(path: str) -> Iterator[bytes]:
    """Yield much at once, then a little now and then until the client, who has it all, makes that file."""
    yield b"y" * 3_000_000
    until, pause = time.monotonic() + MOST_S / 2, threading.Event()
    while not os.path.exists(path) and time.monotonic() < until:
        pause.wait(0.02)
        yield b"."
    yield b"seen" if os.path.exists(path) else b"late"


def burst(name: str) -> Iterator[bytes]:
    """Yield many small pieces without a pause, wait until released, and go on with all sizes."""
    for number in range(40):
        yield b"%02d" % number
    yield hold(name)
    for size in (1, 20_000, 2, 3, 200_000, 4):
        yield b"z" * size


def hold(name: str) -> bytes:
    """Wait until somebody asks for /release with the same name."""
    with changed:
        event = held.setdefault(name, threading.Event())
        changed.notify_all()
    return b"held" if event.wait(MOST_S) else b"forgotten"


def release(name: str) -> bytes:
    """Wait until a request is held under that name, and let it go."""
    with changed:
        found = changed.wait_for(lambda: name in held, MOST_S)
        event = held.pop(name) if found else threading.Event()
    event.set()
    return b"released" if found else b"nobody"


if __name__ == "__main__":
    sys.exit("portway serve this file")
