"""A WSGI application that takes too long: in Python, in C, ignoring the exception thrown at it."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from portway.engine.errors import RequestTimeout
from tests.engine.apps.happening import do_forget, do_happened, do_hello, do_noted, note

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ("app", "do_forget", "do_happened", "do_hello", "do_noted")

EVER_S = 1000.0
LONGER_S = 1.0
"""More than the tests' deadline, for what is allowed to last."""


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Do what the path says; note how it ends."""
    name = environ["PATH_INFO"].strip("/").replace("-", "_")
    try:
        return globals()[f"do_{name}"](environ, start_response)
    except RequestTimeout:
        note(f"interrupted-{name}")
        raise


def spin(seconds: float) -> None:
    """Be busy."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def do_loop(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    spin(EVER_S)


def do_sleep(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    time.sleep(EVER_S)  # noqa: TID251


def do_lock(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def do_socket(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.recv(1)


def do_sendall(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(bytes(1 << 24))


def do_library(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Wait in a library that takes a signal for an error."""
    ctypes.CDLL(None).poll(None, 0, -1)
    raise ConnectionError("interrupted system call")


def do_before_the_first_piece(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    def pieces() -> Iterator[bytes]:
        try:
            yield b""
            spin(EVER_S)
            yield b"never"
        finally:
            note("generator-closed")

    start_response("200 OK", [])
    return pieces()


def do_swallow(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    try:
        spin(EVER_S)
    except BaseException:
        note("swallowed")
    return do_hello(environ, start_response)


def do_write_after_all(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    try:
        spin(EVER_S)
    except BaseException:
        try:
            start_response("200 OK", [])(b"too late")
        except RuntimeError as error:
            note(str(error).replace(" ", "-"))
    return []


def do_about(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Be busy for about so many seconds, and answer."""
    spin(float(environ["QUERY_STRING"]))
    return do_hello(environ, start_response)


def do_stream(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    def pieces() -> Iterator[bytes]:
        yield b"first"
        spin(LONGER_S)
        yield b"last"

    start_response("200 OK", [])
    return pieces()


def do_echo(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [body]


def do_thread(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", [])
    return [f"{os.getpid()} {threading.get_ident()}".encode()]
