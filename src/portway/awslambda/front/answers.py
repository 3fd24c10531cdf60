"""A function's answer as the response that the front door makes of it.

Each service has its own idea of an answer. A REST API takes five keys and nothing else; an HTTP API and a
Function URL make a response of anything that is JSON; a load balancer wants the header mode of its target
group. What a service would not take raises `BadAnswer`, and the client gets that service's 502 or 500.
What JSON cannot carry is refused as well: on Lambda the answer crosses a process boundary.
"""

from __future__ import annotations

import json
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from ..errors import BadReply, LambdaError, shown
from ..events.reply import NO_BODY, field_name
from .bodies import is_binary, media_type
from .door import Door
from .request import HTTPRequest
from .response import Response

_REST_KEYS = frozenset(("statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"))
_REMAPPED = frozenset(("date", "server", "www-authenticate"))
"""What a REST API gives the client as x-amzn-Remapped-….

An HTTP API and a Function URL rename Date and Server alike, but add their own; WWW-Authenticate passes there.
"""
_DEFAULT_TYPES = {
    "rest": "application/json",
    "http": "text/plain; charset=utf-8",
    "url": "application/json",
    "alb": "application/octet-stream",
}
_SURELY_FITS = 6
"""Bytes of JSON that one byte of text becomes at most ("\\u0000")."""


class BadAnswer(LambdaError):
    """A function's answer that the front door does not take."""


def read_answer(door: Door, answer: object, request: HTTPRequest) -> Response:
    """Return the response that the door makes of a function's answer.

    Args:
        door: The front door.
        answer: What the function returned.
        request: What it answers.

    Raises:
        BadAnswer: The service would answer 502 (500, an HTTP API).
    """
    if door.kind in ("http", "url"):
        if not isinstance(answer, dict) or "statusCode" not in answer:
            return _implied(door, answer)
    elif not isinstance(answer, dict):
        raise BadAnswer(f"the answer is of type {type(answer).__name__}, not an object")
    assert isinstance(answer, dict)
    if door.kind == "rest" and not _REST_KEYS.issuperset(answer):
        strange = sorted(str(key) for key in answer if key not in _REST_KEYS)
        raise BadAnswer(f"a REST API refuses an answer with {shown(strange[0])}")
    status = _status(door, answer.get("statusCode"))
    fields = _fields(door, answer)
    body = _body(door, answer, request)
    reason = _reason(answer.get("statusDescription")) if door.kind == "alb" else ""
    return _finished(door, status, reason, fields, body, request.method == "HEAD")


def _finished(
    door: Door, status: int, reason: str, fields: list[tuple[str, str]], body: bytes, head: bool
) -> Response:
    kept: list[tuple[str, str]] = []
    typed = False
    for name, value in fields:
        lower = name.lower()
        if lower == "content-type":
            typed = True
        elif lower == "content-length":
            if not (head and value.isascii() and value.isdigit()):
                continue
        elif lower in _REMAPPED and door.kind == "rest":
            name = f"x-amzn-Remapped-{name}"
        kept.append((name, value))
    if head or status in NO_BODY:
        body = b""
    if not typed and status not in NO_BODY:
        kept.append(("Content-Type", _DEFAULT_TYPES[door.kind]))
    return Response(status, reason, kept, body)


def _implied(door: Door, answer: object) -> Response:
    """Return the 200 that payload 2.0 makes of an answer without `statusCode`."""
    if isinstance(answer, str):
        body = _encoded(answer)
    else:
        try:
            body = json.dumps(answer, default=_plain, ensure_ascii=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise BadAnswer(f"the answer is not JSON: {error}") from None
    if len(body) > door.answer_limit:
        raise _too_large(door, len(body))
    return Response(200, "", [("Content-Type", "application/json")], body)


def _plain(value: object) -> object:
    """Return what Lambda's runtime makes of a value that JSON does not know: a Decimal becomes a float."""
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"a value of type {type(value).__name__}")


def _status(door: Door, status: object) -> int:
    if isinstance(status, str) and door.kind != "alb" and status.isascii() and status.isdigit():
        status = int(status[:9])
    if not isinstance(status, int) or isinstance(status, bool):
        raise BadAnswer(f"the statusCode is {shown(status)}")
    if not 200 <= status <= 599:
        raise BadAnswer(f"the statusCode {shown(status)} is not a final one")
    return int(status)


def _reason(description: object) -> str:
    """Return the reason phrase of "404 Not Found", or "" when there is none to be sent."""
    if not isinstance(description, str) or not description.isascii() or not description.isprintable():
        return ""
    return description.partition(" ")[2][:100]


def _fields(door: Door, answer: dict[str, Any]) -> list[tuple[str, str]]:
    single, multi = _object(answer, "headers"), _object(answer, "multiValueHeaders")
    fields: list[tuple[str, str]] = []
    if door.kind == "alb":
        if door.multi_value and single and not multi:
            raise BadAnswer("the target group has multi-value headers, the answer has headers")
        if not door.multi_value and multi and not single:
            raise BadAnswer("the target group has no multi-value headers, the answer has multiValueHeaders")
    if single and (door.kind != "alb" or not door.multi_value):
        # API Gateway merges the two objects and drops a single value that the lists have as well.
        both = {name.lower(): values for name, values in multi.items()} if door.kind == "rest" else {}
        for name, value in single.items():
            if name.lower() not in both or value not in _values(name, both[name.lower()]):
                _add(fields, name, value)
    if multi and (door.kind == "rest" or (door.kind == "alb" and door.multi_value)):
        for name, values in multi.items():
            for value in _values(name, values):
                _add(fields, name, value)
    cookies = answer.get("cookies")
    if cookies and door.kind in ("http", "url"):
        if not isinstance(cookies, list | tuple):
            raise BadAnswer(f"cookies is of type {type(cookies).__name__}")
        for cookie in cookies:
            _add(fields, "Set-Cookie", cookie)
    return fields


def _object(answer: dict[str, Any], name: str) -> dict[str, Any]:
    value = answer.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise BadAnswer(f"{name} is not an object of text")
    return value


def _values(name: str, values: object) -> Iterable[object]:
    if isinstance(values, list | tuple):
        return values
    raise BadAnswer(f"multiValueHeaders has no list for {shown(name)}")


def _add(fields: list[tuple[str, str]], name: str, value: object) -> None:
    """Add one field line, unless the connection's own; numbers and truth values become text."""
    if isinstance(value, bool):
        value = "true" if value else "false"
    elif isinstance(value, int | float):
        value = str(value)
    if not isinstance(value, str):
        raise BadAnswer(f"the header {shown(name)} has a value of type {type(value).__name__}")
    if not value.isprintable() and ("\r" in value or "\n" in value or "\0" in value):
        raise BadAnswer(f"the header {shown(name)} has a line break or NUL in its value")
    try:
        if field_name(name):
            fields.append((name, value))
    except BadReply as error:
        raise BadAnswer(str(error)) from None


def _body(door: Door, answer: dict[str, Any], request: HTTPRequest) -> bytes:
    body, encoded = answer.get("body"), answer.get("isBase64Encoded")
    if encoded is not None and not isinstance(encoded, bool):
        raise BadAnswer(f"isBase64Encoded is of type {type(encoded).__name__}")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise BadAnswer(f"the body is of type {type(body).__name__}, not text")
    limit = door.answer_limit
    if len(body) * _SURELY_FITS > limit and (size := _json_size(answer)) > limit:
        raise _too_large(door, size)
    if not encoded or not (door.kind != "rest" or _wants_binary(door, request)):
        return _encoded(body)
    try:
        return a2b_base64(body, strict_mode=True) if body else b""
    except (Base64Error, ValueError) as error:
        raise BadAnswer(f"the body is not base64: {error}") from None


def _json_size(answer: dict[str, Any]) -> int:
    try:
        return len(json.dumps(answer, default=str, ensure_ascii=False).encode("utf-8", "replace"))
    except (TypeError, ValueError, RecursionError) as error:
        raise BadAnswer(f"the answer is not JSON: {error}") from None


def _too_large(door: Door, size: int) -> BadAnswer:
    return BadAnswer(f"the answer has {size} bytes, the limit is {door.answer_limit}")


def _encoded(body: str) -> bytes:
    try:
        return body.encode()
    except UnicodeEncodeError:
        raise BadAnswer("the body is not text that UTF-8 can carry") from None


def _wants_binary(door: Door, request: HTTPRequest) -> bool:
    """Tell whether a REST API decodes base64 for this client: by the first media type of Accept."""
    accept = media_type(request.value("accept").partition(",")[0])
    return is_binary(accept or "application/json", door.binary_types)
