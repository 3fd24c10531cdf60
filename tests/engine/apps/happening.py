"""What happened inside an application, for a test to wait for: the query of /happened names it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MOST_S = 20.0

happened: list[str] = []
changed = threading.Condition()


def note(what: str) -> None:
    """Write down that something happened."""
    with changed:
        happened.append(what)
        changed.notify_all()


def wait_for(what: str) -> int:
    """Wait until something has happened; forget it, and return how often it has."""
    with changed:
        changed.wait_for(lambda: what in happened, MOST_S)
        count = happened.count(what)
        happened[:] = [other for other in happened if other != what]
    return count


def do_happened(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer how often something has happened, after the first time at the earliest."""
    start_response("200 OK", [])
    return [str(wait_for(environ["QUERY_STRING"])).encode()]


def do_forget(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Forget everything that has happened."""
    happened.clear()
    start_response("200 OK", [])
    return []


def do_noted(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer how often something has happened until now."""
    start_response("200 OK", [])
    return [str(happened.count(environ["QUERY_STRING"])).encode()]


def do_hello(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer as every fixture application does."""
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]


class Body:
    """An iterable whose `close` is written down."""

    def __init__(self, pieces: Iterable[Any], name: str) -> None:
        self.pieces = iter(pieces)
        self.name = name

    def __iter__(self) -> Iterator[Any]:
        return self.pieces

    def close(self) -> None:
        """Be closed."""
        note(f"closed-{self.name}")
