"""When a body travels as text and when as base64: each service's own rule."""

from __future__ import annotations

from binascii import b2a_base64

from .door import Door
from .request import HTTPRequest

_TEXT = ("text/", "application/json", "application/javascript", "application/xml")


def media_type(value: str) -> str:
    """Return a media type without parameters, in lower case."""
    return value.partition(";")[0].strip().lower()


def is_binary(kind: str, binary_types: tuple[str, ...]) -> bool:
    """Tell whether a media type (lower case, without parameters) is one of an API's binaryMediaTypes."""
    for pattern in binary_types:
        lower = pattern.lower()
        if lower in ("*/*", kind) or (lower.endswith("/*") and kind.startswith(lower[:-1])):
            return True
    return False


def event_body(door: Door, request: HTTPRequest) -> tuple[str | None, bool]:
    """Return an event's body and isBase64Encoded; the body is None when there is none.

    A REST API goes by its binaryMediaTypes, and what is not among them is made text whatever it takes: octets
    that are not UTF-8 are lost. The others go by the content type and never lose anything.
    """
    body = request.body
    if not body:
        return None, False
    kind = media_type(request.value("content-type"))
    if door.kind == "rest":
        if is_binary(kind or "application/json", door.binary_types):
            return b2a_base64(body, newline=False).decode("ascii"), True
        return body.decode("utf-8", "replace"), False
    if kind.startswith(_TEXT) and not request.value("content-encoding"):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return b2a_base64(body, newline=False).decode("ascii"), True
