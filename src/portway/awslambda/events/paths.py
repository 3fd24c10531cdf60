"""Paths and queries of events: decode once, encode again only where the source lost the original.

RFC 3986, section 2.4: a component is decoded once; decoding it twice turns the data `%252F` into a
delimiter. Each source says in its own file whether its path arrives encoded or decoded.
"""

from __future__ import annotations

from binascii import Error as HexError
from binascii import unhexlify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_PATH_SAFE = _UNRESERVED + b"!$&'()*+,;=:@/"  # RFC 3986, section 3.3: pchar and "/"
# What a browser's encodeURIComponent leaves alone: the likeliest form of the lost original.
_QUERY_SAFE = _UNRESERVED + b"!*'()"


def unquote(path: str) -> str:
    """Return `path` percent decoded once; bytes that are not UTF-8 become surrogate escapes.

    A "%" that no two hexadecimal digits follow stands for itself.
    """
    if "%" not in path:
        return path
    head, *rest = path.encode("utf-8", "surrogatepass").split(b"%")
    parts = [head]
    for part in rest:
        try:
            parts.append(unhexlify(part[:2] or b"%") + part[2:])  # nothing is not two digits either
        except HexError:
            parts.append(b"%" + part)
    return b"".join(parts).decode("utf-8", "surrogateescape")


def _quoted(text: str, safe: bytes) -> str:
    octets = text.encode("utf-8", "surrogateescape")
    if not octets.translate(None, safe):
        return text
    return "".join(chr(octet) if octet in safe else f"%{octet:02X}" for octet in octets)


def quote_octets(path: str) -> bytes:
    """Return `quote(path)` as ASCII octets; a path that needs no quoting is only encoded."""
    if path.isascii():
        octets = path.encode()
        if not octets.translate(None, _PATH_SAFE):
            return octets
    return quote(path).encode()


def quote(path: str) -> str:
    """Return a decoded path encoded again, for a source that delivers it decoded.

    Args:
        path: A decoded path; surrogate escapes stand for bytes that are not UTF-8.
    """
    try:
        return _quoted(path, _PATH_SAFE)
    except UnicodeEncodeError:  # a lone surrogate from the event's JSON is not a byte of any path
        return _quoted(path.encode("utf-8", "replace").decode(), _PATH_SAFE)


def quote_query(text: str) -> str:
    """Return one decoded name or value of a query, encoded: a space is "%20", which all decoders know."""
    try:
        return _quoted(text, _QUERY_SAFE)
    except UnicodeEncodeError:
        return _quoted(text.encode("utf-8", "replace").decode(), _QUERY_SAFE)


def encoded_query(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a query string from decoded names and values."""
    return "&".join([f"{quote_query(name)}={quote_query(value)}" for name, value in pairs])


def below(path: str, prefix: str) -> bool:
    """Tell whether `path` lies below `prefix`, ending with a segment: /api holds /api/x, not /apis."""
    return path == prefix or path.startswith(prefix + "/")


def filled(template: str, parameters: dict[str, str]) -> str | None:
    """Return a route's template with its path parameters in place, or None when one is missing.

    Args:
        template: "/users/{id}" or "/{proxy+}".
        parameters: The event's pathParameters.
    """
    head, *rest = template.split("{")
    parts = [head]
    for part in rest:
        name, closed, tail = part.partition("}")
        value = parameters.get(name.removesuffix("+"))
        if not closed or not isinstance(value, str):
            return None
        parts.append(value)
        parts.append(tail)
    return "".join(parts)


def mount_point(path: str, template: str, parameters: dict[str, str]) -> str | None:
    """Return what stands in `path` before the part that the route matched, or None when the two do not fit.

    A stage and a custom domain's base path are in the path but not in the route, so the route tells
    where the application begins: path /v1/users/7 and route /users/{id} with id=7 give "/v1".

    Args:
        path: The path of the event, with whatever prefix it has.
        template: The route's template.
        parameters: The values of its parameters, as the event gives them (encoded like the path).
    """
    inner = filled(template, parameters)
    if not inner or inner[0] != "/":
        return None
    if path.endswith(inner):
        return path[: -len(inner)]
    # A route never ends with "/", a request may.
    return path[: -len(inner) - 1] if path.endswith(inner + "/") else None
