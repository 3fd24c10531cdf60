"""An HTTP request on its way to becoming an event, and the marks that a front door puts on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..events.request import Fields

_CONNECTION = frozenset(
    (
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_ADDED = frozenset(("content-length", "host", "x-forwarded-for", "x-forwarded-port", "x-forwarded-proto"))
"""The door's own: a client's value is merged into it or replaced."""


class HTTPRequest(NamedTuple):
    """One request as the client wrote it, the body whole.

    Attributes:
        method: As sent.
        path: Percent encoded as sent, "/" at least, no query.
        query: Without "?", as sent.
        fields: Field lines as sent and in order, Host among them. Values are text: octets that are UTF-8
            as what they spell, others as latin-1.
        body: Without any transfer coding.
        client: The client's address.
        scheme: "http" or "https".
        port: The port that the client connected to.
        protocol: "HTTP/1.1".
    """

    method: str
    path: str = "/"
    query: str = ""
    fields: Fields = ()
    body: bytes = b""
    client: str = "127.0.0.1"
    scheme: str = "https"
    port: int = 443
    protocol: str = "HTTP/1.1"

    def value(self, name: str) -> str:
        """Return the value of the field `name` (lower case), the last of several; "" without one."""
        found = ""
        for key, value in self.fields:
            if key.lower() == name:
                found = value
        return found


class Stamp(NamedTuple):
    """What a door adds that is neither the client's nor its own: the moment and the ids.

    Attributes:
        time_s: Seconds since 1970.
        request_id: The door's id of the request, which is not the invocation's.
        trace_id: X-Ray's: "Root=1-…".
    """

    time_s: float
    request_id: str
    trace_id: str


class Match(NamedTuple):
    """Which resource of a REST API took the request.

    Attributes:
        resource: Its template, "/users/{id}" or "/{proxy+}".
        parameters: The values of the template's parameters, encoded as in the path.
    """

    resource: str
    parameters: dict[str, str]


def forwarded(request: HTTPRequest, stamp: Stamp) -> list[tuple[str, str]]:
    """Return the field lines that reach the function: the client's own, then the door's.

    Connection fields end at the door. X-Forwarded-For keeps what the client claims in front of the address
    that the door saw; X-Forwarded-Port and -Proto are the door's alone.
    """
    own: list[tuple[str, str]] = []
    host, hops, trace = "", [], ""
    for name, value in request.fields:
        lower = name.lower()
        if lower in _CONNECTION:
            continue
        if lower not in _ADDED:
            own.append((name, value))
            if lower == "x-amzn-trace-id":
                trace = value
        elif lower == "host":
            host = value
        elif lower == "x-forwarded-for":
            hops.append(value)
    hops.append(request.client)
    if host:
        own.append(("Host", host))
    if not trace:
        own.append(("X-Amzn-Trace-Id", stamp.trace_id))
    own.append(("X-Forwarded-For", ", ".join(hops)))
    own.append(("X-Forwarded-Port", str(request.port)))
    own.append(("X-Forwarded-Proto", request.scheme))
    if request.body:
        own.append(("Content-Length", str(len(request.body))))
    return own


def listed(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Return names with all their values, in order."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if name in found:
            found[name].append(value)
        else:
            found[name] = [value]
    return found
