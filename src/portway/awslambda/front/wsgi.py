"""Between a WSGI server and a front door: the request out of an environ, the response into one.

Portway's engine tells the request target and, when asked, the field lines as they were sent. Under another
server both are put together again from the environ: repeated fields are joined then, and names are
spelt the usual way.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..events.reply import NO_BODY
from .door import Door
from .request import HTTPRequest, Stamp
from .response import Response

if TYPE_CHECKING:
    from ..events.request import Fields

Environ = dict[str, Any]

FIELDS = "portway.fields"
"""Key of the environ under which Portway's engine gives the field lines: pairs of latin-1 text."""

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_KNOWN_MOST = 512
_names: dict[str, str] = {"CONTENT_TYPE": "Content-Type"}
_PATH_SAFE = "/!$&'()*+,;=:@~"


class BodyTooLarge(Exception):
    """The request's body is over the door's limit."""


def new_stamp() -> Stamp:
    """Return this moment with new ids."""
    now = time.time()
    digits = os.urandom(16).hex()  # written as a UUID of version 4 is, for a fifth of its time
    request_id = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
    return Stamp(now, request_id, f"Root=1-{int(now):08x}-{digits[8:]}")


def request_of(environ: Environ, door: Door) -> HTTPRequest:
    """Return the request of an environ, its body read.

    Raises:
        BodyTooLarge: The body is over the door's limit; of it no more than that has been read.
    """
    return HTTPRequest(
        environ["REQUEST_METHOD"],
        _path(environ),
        _text(environ.get("QUERY_STRING", "")),
        _fields(environ),
        _body(environ, door.request_limit),
        environ.get("REMOTE_ADDR") or "127.0.0.1",
        environ.get("wsgi.url_scheme", "http"),
        _port(environ),
        environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
    )


def send(response: Response, head: bool, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a WSGI request.

    Args:
        response: The response.
        head: Whether the request was HEAD, whose answer has no body and keeps the length that it tells.
        start_response: The server's.
    """
    status, body = response.status, response.body
    fields = [(name, value if value.isascii() else _octets(value)) for name, value in response.fields]
    if status not in NO_BODY and not (head and any(name.lower() == "content-length" for name, _ in fields)):
        fields.append(("Content-Length", str(len(body))))
    start_response(f"{status} {response.reason or _REASONS.get(status, 'Status')}", fields)
    return () if head else (body,)


def _path(environ: Environ) -> str:
    target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    if target[:1] == "/" and not environ.get("SCRIPT_NAME"):
        path = str(target.partition("?")[0])
        return path if path.isascii() else quote(path.encode("latin-1"), safe=_PATH_SAFE + "%")
    # Absolute form, "*", a mount point, or a server that does not tell: encoded again.
    path = quote(environ.get("PATH_INFO", "").encode("latin-1"), safe=_PATH_SAFE)
    return path if path[:1] == "/" else f"/{path}"


def _fields(environ: Environ) -> Fields:
    pairs = environ.get(FIELDS)
    if pairs is None:
        pairs = [
            (_names.get(key) or _name(key), value)
            for key, value in environ.items()
            if key[:5] == "HTTP_" or (key == "CONTENT_TYPE" and value)
        ]
    else:
        # The server knows better than the line: an absolute request target, or a proxy that it trusts.
        host = environ.get("HTTP_HOST", "")
        pairs = [(name, host if host and name.lower() == "host" else value) for name, value in pairs]
    return [(name, value if value.isascii() else _text(value)) for name, value in pairs]


def _name(key: str) -> str:
    name = "-".join([part.capitalize() for part in key[5:].split("_")])
    if len(_names) < _KNOWN_MOST:
        _names[key] = name
    return name


def _text(native: str) -> str:
    """Return what WSGI's latin-1 text spells: UTF-8 where its octets are that."""
    if native.isascii():
        return native
    try:
        return native.encode("latin-1").decode()
    except UnicodeError:
        return native


def _octets(text: str) -> str:
    """Return text as WSGI's latin-1 text of its UTF-8 octets."""
    return text.encode("utf-8", "replace").decode("latin-1")


def _body(environ: Environ, limit: int) -> bytes:
    declared = environ.get("CONTENT_LENGTH") or ""
    if declared.isascii() and declared.isdigit():
        size = int(declared)
        if size > limit:
            raise BodyTooLarge
        return environ["wsgi.input"].read(size) if size else b""
    if not environ.get("wsgi.input_terminated"):
        return b""
    body: bytes = environ["wsgi.input"].read(limit + 1)
    if len(body) > limit:
        raise BodyTooLarge
    return body


def _port(environ: Environ) -> int:
    port = environ.get("SERVER_PORT", "")
    if port.isascii() and port.isdigit():
        return int(port)
    return 443 if environ.get("wsgi.url_scheme") == "https" else 80
