"""A WSGI application with one misbehaviour for each path."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def app(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes] | Iterator[bytes]:
    """Do what the path says."""
    path = environ["PATH_INFO"]
    query = environ.get("QUERY_STRING", "")
    match path:
        case "/slow":  # /slow?0.5: an application that is busy waiting for something
            time.sleep(float(query))  # noqa: TID251
        case "/until":  # /until?FILE: until somebody makes that file
            while not os.path.exists(query):
                time.sleep(0.02)  # noqa: TID251
        case "/stuck":  # told before, for those who must not be faster
            sys.stderr.write("stuck\n")
            time.sleep(600)  # noqa: TID251
        case "/stream":
            start_response("200 OK", [("Content-Type", "text/plain")])
            return endless()
        case "/wait":  # for something that never comes, in C
            ours, theirs = socket.socketpair()
            with ours, theirs:
                ours.recv(1)
        case "/stubborn":
            while True:
                with contextlib.suppress(BaseException):
                    time.sleep(0.05)  # noqa: TID251
        case "/die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "/deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        case "/raise":
            raise ValueError("raised on purpose")
        case "/print":
            sys.stderr.write("printed by the application\n")
    body = who(path).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def who(path: str) -> str:
    """Return what a path asks for."""
    match path:
        case "/user":
            return f"{os.getuid()} {os.getgid()} {sorted(os.getgroups())}"
        case "/cwd":
            return os.getcwd()
        case "/umask":
            mask = os.umask(0)
            os.umask(mask)
            return f"{mask:03o}"
        case _:
            return str(os.getpid())


def endless() -> Iterator[bytes]:
    """Yield for ever, a piece every tenth of a second."""
    while True:
        yield b"piece\n"
        time.sleep(0.1)  # noqa: TID251
