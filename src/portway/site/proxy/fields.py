"""The heads that travel through a proxy route (RFC 9110, section 7.6): no I/O, bytes in and bytes out.

A request's head is written here as it was received: target and values byte for byte. Only a path with dot
segments is sent in its normal form, the one that its rule was chosen by: `/admin/../public/x` must not be
something below /admin for the upstream. Left out is what speaks
of one connection only, and what the client listed in Connection; said anew is who asked (Forwarded, RFC 7239,
and X-Forwarded-*), and through whom (Via). What an untrusted client says of these the engine has dropped
already, so whatever of it is left comes from a proxy that is trusted, and is added to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from portway.site.upstreams import path_for

Pairs = Iterable[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    (
        *(b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization"),
        *(b"te", b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings"),
    )
)
"""Fields of one connection (RFC 9110, section 7.6.1), with those that only a proxy is meant by."""

_OURS = frozenset(
    (
        *(b"host", b"via", b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"),
        *(b"x-forwarded-port", b"x-forwarded-prefix", b"x-real-ip", b"content-length"),
    )
)
_DROPPED = HOP_BY_HOP | _OURS | {b"expect"}
_IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))
_UNSAFE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_WEBSOCKET = b"websocket"
"""The one protocol to change to: through others (h2c, TLS) requests would pass by the rules."""
MOST_HOPS = 32
"""Entries of Via beyond which a request is taken to run in circles."""


class Request(Struct, frozen=True):
    """One request as an upstream gets it.

    Attributes:
        start: The request line, up to the value of Host.
        host: The value of Host, or None for the upstream's own.
        rest: The other field lines, with the empty line.
        chunked: Whether its body is sent in chunks, because its length is not known.
        has_body: Whether there is one.
        repeatable: Whether it may be sent again where no answer came: an idempotent method, and no body.
        upgrade: The protocol that the client would like to change to, or None.
        loops: Whether it has been here before.
    """

    start: bytes
    host: bytes | None
    rest: bytes
    chunked: bool
    has_body: bool
    repeatable: bool
    upgrade: bytes | None
    loops: bool

    def head(self, authority: bytes) -> bytes:
        """Return the bytes of the head for one upstream."""
        return b"%b%b\r\n%b" % (self.start, authority if self.host is None else self.host, self.rest)


def read_request(scope: dict[str, Any], name: bytes, *, keep_host: bool, strip: str) -> Request:
    """Return what an upstream is sent for an ASGI scope.

    Args:
        scope: The `http` scope; `portway.peer` in it is (host, port) of the connection's other end.
        name: What this server calls itself in Via.
        keep_host: Whether the upstream gets the client's Host.
        strip: What is taken off the front of the path.
    """
    lines: list[bytes] = []
    said: dict[bytes, list[bytes]] = {}
    for field, value in scope["headers"]:
        if field in _DROPPED:
            said.setdefault(field, []).append(value)
        else:
            lines += (field, b": ", value, b"\r\n")
    upgrade = None
    if b"connection" in said:
        listed = tokens(said[b"connection"])
        if b"upgrade" in listed and scope["http_version"] == "1.1" and scope["method"] == "GET":
            upgrade = _WEBSOCKET if tokens(said.get(b"upgrade", ())) == {_WEBSOCKET} else None
        lines = _without(lines, listed)
    chunked = b"transfer-encoding" in said
    length = said.get(b"content-length")
    has_body = chunked or (bool(length) and length != [b"0"])
    if has_body:
        upgrade = None
    if upgrade is not None:
        lines += (b"connection: Upgrade\r\nupgrade: ", upgrade, b"\r\n")
    if chunked:
        lines += (b"transfer-encoding: chunked\r\n",)
    elif length:
        lines += (b"content-length: ", length[0], b"\r\n")
    _add_forwarding(lines, said, scope, strip)
    passed = _elements(said.get(b"via", ()))
    own_hop = b"%b %b" % (scope["http_version"].encode(), name)
    lines += (b"via: ", b", ".join([*passed, own_hop]), b"\r\n\r\n")
    host = said.get(b"host")
    return Request(
        start=start_of(scope, strip),
        host=host[0] if keep_host and host else None,
        rest=b"".join(lines),
        chunked=chunked,
        has_body=has_body,
        repeatable=not has_body and scope["method"] in _IDEMPOTENT,
        upgrade=upgrade,
        loops=len(passed) >= MOST_HOPS or any(hop.split()[1:2] == [name] for hop in passed),
    )


def start_of(scope: dict[str, Any], strip: str) -> bytes:
    """Return the request line, up to the value of Host."""
    return b"%b %b HTTP/1.1\r\nhost: " % (scope["method"].encode("latin-1"), _target(scope, strip))


def response_fields(fields: Pairs, chunked: bool) -> list[tuple[bytes, bytes]] | None:
    """Return the fields of an upstream's response that the client gets; None when it cannot get them.

    Args:
        fields: As they were received.
        chunked: Whether the body was; a Content-Length beside that is void (RFC 9112, section 6.3).
    """
    kept = []
    listed: frozenset[bytes] = frozenset()
    for name, value in fields:
        lower = name.lower()
        if lower == b"connection":
            listed |= tokens((value,))
        elif lower not in HOP_BY_HOP and not (chunked and lower == b"content-length"):
            kept.append((lower, value))
    if listed - {b"close", b"keep-alive"}:
        kept = [pair for pair in kept if pair[0] not in listed or pair[0] in _OURS]
    if _UNSAFE.search(b"".join([value for _, value in kept])):
        return None
    return kept


def tokens(values: Iterable[bytes]) -> frozenset[bytes]:
    """Return the elements of a list field, in lower case."""
    return frozenset(element.lower() for element in _elements(values))


def _elements(values: Iterable[bytes]) -> list[bytes]:
    return [element for value in values for part in value.split(b",") if (element := part.strip(b" \t"))]


def _without(lines: list[bytes], listed: frozenset[bytes]) -> list[bytes]:
    """Leave out the fields that the client listed in Connection."""
    if not listed - {b"close", b"keep-alive", b"upgrade", b"te"}:
        return lines
    kept: list[bytes] = []
    for at in range(0, len(lines), 4):
        if lines[at] not in listed:
            kept += lines[at : at + 4]
    return kept


def _target(scope: dict[str, Any], strip: str) -> bytes:
    path = path_for(scope["raw_path"], strip)
    query: bytes = scope["query_string"]
    return path + b"?" + query if query else path


def _add_forwarding(
    lines: list[bytes], said: dict[bytes, list[bytes]], scope: dict[str, Any], strip: str
) -> None:
    """Say who asked: added to what a trusted proxy has said, or, without that, said for the first time."""
    client = scope["client"]
    peer = scope.get("portway.peer", client)
    scheme = scope["scheme"].encode()
    host = said.get(b"host", [b""])[0]
    # The engine has made out who the client is, in whichever of the two ways a trusted proxy said it.
    before = None if peer is None or client == peer else (client[0] if client else "unknown")
    hops = said.get(b"x-forwarded-for") or ([before.encode()] if before else [])
    elements = said.get(b"forwarded") or ([_element(before, host, scheme)] if before else [])
    if peer is not None:  # a unix socket has no name
        hops = [*hops, peer[0].encode()]
        elements = [*elements, _element(peer[0], host, scheme)]
    if hops:
        lines += (b"x-forwarded-for: ", b", ".join(hops), b"\r\n")
    if elements:
        lines += (b"forwarded: ", b", ".join(elements), b"\r\n")
    port = said.get(b"x-forwarded-port") or [_port(host, scheme)]
    lines += (b"x-forwarded-proto: ", scheme, b"\r\nx-forwarded-port: ", port[-1], b"\r\n")
    if host:
        lines += (b"x-forwarded-host: ", host, b"\r\n")
    if (
        b"x-real-ip" in said and client is not None
    ):  # what upstreams believe must not be the client's own word
        lines += (b"x-real-ip: ", client[0].encode(), b"\r\n")
    prefix = said.get(b"x-forwarded-prefix", [b""])[0].rstrip(b"/") + strip.encode()
    if prefix:
        lines += (b"x-forwarded-prefix: ", prefix, b"\r\n")


def _element(address: str, host: bytes, scheme: bytes) -> bytes:
    """Return one element of Forwarded (RFC 7239, section 4)."""
    node = f'"[{address}]"' if ":" in address else address
    element = b"for=%b;proto=%b" % (node.encode(), scheme)
    if not host:
        return element
    return element + b";host=" + (host if _TOKEN.fullmatch(host) else b'"%b"' % host)


def _port(host: bytes, scheme: bytes) -> bytes:
    """Return the port that the client asked at: what stands behind the host's name, or its scheme's own."""
    name, colon, port = host.rpartition(b":")
    if colon and port.isdigit() and not name.endswith(b":"):
        return port
    return b"443" if scheme == b"https" else b"80"
