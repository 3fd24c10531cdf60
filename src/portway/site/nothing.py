"""The application of a site that has none: every path that no route takes does not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

NAME = "portway.site.nothing:application"
"""How it is named where an application is asked for."""

_BODY = b"Not Found\n"


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer 404."""
    fields = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(_BODY)))]
    start_response("404 Not Found", fields)
    return [_BODY]
