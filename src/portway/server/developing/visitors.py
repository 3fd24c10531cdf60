"""Who may see an error with its source: a browser on this machine that asked for this machine.

The peer's address is not enough. A page of a stranger can make its own name mean 127.0.0.1 (DNS rebinding)
and then read what it gets: so the Host must be a name of the loopback, too. And a proxy on this machine, a
tunnel for instance, connects from here for anybody: what has come through one is not shown anything.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from msgspec import Struct

PREFIX = "/_portway/dev/"
STATE_PATH = PREFIX + "state"
LAST_GOOD_PATH = PREFIX + "last-good"
COOKIE = "portway_dev_last_good"

_PROXIED = (
    *("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip"),
    *("forwarded", "via", "cf-connecting-ip"),
)
_WANTED = ("host", "accept", "sec-fetch-dest", "cookie", *_PROXIED)
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE)


class Visitor(Struct, frozen=True):
    """One request, as far as it matters here.

    Attributes:
        method: "GET" …
        path: Decoded, without the query.
        query: As it was sent.
        is_local: Whether it may see errors.
        wants_page: It is a browser going to a page.
        edition: Of which error it wants to see the last good version instead; 0 for none.
    """

    method: str
    path: str
    query: str
    is_local: bool
    wants_page: bool
    edition: int

    @property
    def request(self) -> str:
        """What the log calls it."""
        return f"{self.method} {self.path}"


def from_environ(environ: Mapping[str, Any]) -> Visitor:
    """Return the visitor of a WSGI request."""
    fields = {name: environ.get("HTTP_" + name.upper().replace("-", "_")) for name in _WANTED}
    path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
    address = environ.get("REMOTE_ADDR", "")
    return _visitor(environ["REQUEST_METHOD"], path, environ.get("QUERY_STRING", ""), address, fields)


def from_scope(scope: Mapping[str, Any]) -> Visitor:
    """Return the visitor of an ASGI request."""
    fields: dict[str, str | None] = dict.fromkeys(_WANTED)
    for name, value in scope["headers"]:
        key = name.decode("latin-1")
        if key in fields:
            fields[key] = value.decode("latin-1") if fields[key] is None else f"{fields[key]},{value!r}"
    client = scope.get("client") or ("",)
    query = scope.get("query_string", b"").decode("latin-1")
    return _visitor(scope["method"], scope["path"], query, client[0], fields)


def _visitor(method: str, path: str, query: str, address: str, fields: Mapping[str, str | None]) -> Visitor:
    local = (
        _is_loopback(address)
        and is_loopback_host(fields["host"] or "")
        and all(fields[name] is None for name in _PROXIED)
    )
    kind = fields["sec-fetch-dest"]
    page = kind in ("document", "iframe", "frame") if kind else "text/html" in (fields["accept"] or "")
    edition = re.search(rf"(?:^|; ?){COOKIE}=([0-9]{{1,15}})(?:;|$)", fields["cookie"] or "")
    return Visitor(method, path, query, local, page and method == "GET", int(edition[1]) if edition else 0)


def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback


def is_loopback_host(host: str) -> bool:
    """Whether the value of a Host field names this machine's loopback, whatever a name server says.

    `localhost` and what ends with `.localhost` never leave the machine (RFC 6761 section 6.3).
    """
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = match[1].lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost") or _is_loopback(name.strip("[]"))


def way_back(query: str) -> str:
    """Return the path that a query of the last-good link names: on this server, never elsewhere."""
    match = re.fullmatch(r"to=([^&]*)", query)
    path = unquote(match[1]) if match else "/"
    # `//host` and `/\\host` are other servers to a browser, and control characters split header lines
    plain = re.fullmatch(r"/(?![/\\])[!-\[\]-~]*", path, re.ASCII)
    return path if plain else "/"
