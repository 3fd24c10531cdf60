"""The form of an access log line: a preset, a template, or a list of fields for JSON.

    combined                                    the format that log analysers know, and the duration
    json                                        one object a line, with the fields of JSON_FIELDS
    time,client,path,status                     one object a line, with these fields
    %(client)s "%(method)s %(path)s" %(status)s text, with names or gunicorn's letters in the places

Text and JSON are escaped by whoever writes the line; nothing here sees a request.
"""

from __future__ import annotations

import re

from msgspec import Struct

from portway.config.kinds import Refused
from portway.errors import nearest, shown

FIELDS = {
    "time": "When the response was complete, in UTC: 2026-11-21T10:00:00Z.",
    "clf_time": "The same as other logs have it: [21/Nov/2026:10:00:00 +0000].",
    "client": "The address of the client; unix on a Unix socket.",
    "request": "The request line: GET /path?query HTTP/1.1.",
    "method": "GET, POST …",
    "target": "What was asked for, with the query.",
    "path": "The same without the query.",
    "query": "What follows the question mark.",
    "protocol": "HTTP/1.1 or HTTP/1.0.",
    "status": "The status of the response. 499: the client left before there was one.",
    "bytes": "Bytes of the response's body.",
    "duration_s": "Seconds from the complete request head to the complete response, with six digits.",
    "duration_ms": "The same in whole milliseconds.",
    "duration_us": "The same in microseconds.",
    "referer": "The request's Referer field.",
    "user_agent": "The request's User-Agent field.",
    "request_id": "The id of the request, with --request-id.",
    "pid": "The process id of the worker.",
    "user": "Always -, for formats that have a place for it.",
}
"""Every field but `header:NAME`, which is any request field."""

LETTERS = {
    "h": "client",
    "l": "user",
    "u": "user",
    "t": "clf_time",
    "r": "request",
    "m": "method",
    "U": "path",
    "q": "query",
    "H": "protocol",
    "s": "status",
    "B": "bytes",
    "b": "bytes",
    "f": "referer",
    "a": "user_agent",
    "T": "duration_whole_s",
    "M": "duration_ms",
    "D": "duration_us",
    "L": "duration_s",
    "p": "pid",
}
"""gunicorn's letters."""

_KNOWN = {**FIELDS, "duration_whole_s": "", "status_colour": ""}
NUMBERS = frozenset(
    {"status", "bytes", "duration_s", "duration_ms", "duration_us", "duration_whole_s", "pid"}
)

COMBINED = (
    '%(client)s - %(user)s %(clf_time)s "%(request)s" %(status)s %(bytes)s '
    '"%(referer)s" "%(user_agent)s" %(duration_s)s'
)
JSON_FIELDS = "time,client,method,target,protocol,status,bytes,duration_us,referer,user_agent"

_PLACE = re.compile(r"%\(([^()]*)\)s|%%|%")
_HEADER = re.compile(r"(?:header:([!#$%&'*+.^_`|~0-9A-Za-z-]+)|\{([!#$%&'*+.^_`|~0-9A-Za-z-]+)\}i)", re.ASCII)


class Piece(Struct, frozen=True):
    """A part of a line: bytes that are always the same, then a field.

    Attributes:
        literal: What stands before the field.
        field: One of FIELDS, "header", or "" at the end of a line.
        header: The name of the request field in lower case, for "header".
    """

    literal: bytes
    field: str = ""
    header: bytes = b""


class LineFormat(Struct, frozen=True):
    """A format that has been read.

    Attributes:
        json: Whether a line is a JSON object; how values are escaped depends on it.
        pieces: The parts of a line, the line break included.
    """

    json: bool
    pieces: tuple[Piece, ...]


def line_format(text: str, with_id: bool = False) -> LineFormat:
    """Return what a value of `--access-log-format` means.

    Args:
        text: The value.
        with_id: The preset json has the request's id as well.

    Raises:
        Refused: It names a field that does not exist.
    """
    if text == "combined":
        return _template(COMBINED)
    if text == "json":
        return _object(JSON_FIELDS + (",request_id" if with_id else ""))
    return _template(text) if "%" in text else _object(text)


def access_format(text: str) -> str:
    """Return a value of `--access-log-format` that makes sense."""
    line_format(text)
    return text


def _template(text: str) -> LineFormat:
    pieces = []
    literal = ""
    at = 0
    for place in _PLACE.finditer(text):
        literal += text[at : place.start()]
        at = place.end()
        if place[0] == "%%":
            literal += "%"
        elif place[1] is None:
            raise Refused("must have %(NAME)s in each place, and %% for a percent sign")
        else:
            pieces.append(_piece(literal, place[1]))
            literal = ""
    return LineFormat(False, (*pieces, Piece((literal + text[at:] + "\n").encode())))


def _object(text: str) -> LineFormat:
    pieces: list[Piece] = []
    close = ""
    names: list[str] = []
    for name in (part.strip() for part in text.split(",")):
        field = _piece("", name)
        key = field.header.decode() or field.field
        if key in names:
            raise Refused(f"must not name the field {key} twice")
        names.append(key)
        quote = "" if field.field in NUMBERS else '"'
        literal = f'{close}{"," if pieces else "{"}"{key}":{quote}'
        pieces.append(Piece(literal.encode(), field.field, field.header))
        close = quote
    return LineFormat(True, (*pieces, Piece((close + "}\n").encode())))


def _piece(literal: str, name: str) -> Piece:
    if header := _HEADER.fullmatch(name):
        return Piece(literal.encode(), "header", (header[1] or header[2]).lower().encode())
    field = LETTERS.get(name, name)
    if field not in _KNOWN:
        close = nearest(name, FIELDS)
        meant = f" (did you mean {close}?)" if close else ""
        raise Refused(
            f"must be combined, json, a list of fields, or a template; there is no field {shown(name)}{meant}"
        )
    return Piece(literal.encode(), field)


def path_pattern(text: str) -> str:
    """Return a path that `--access-log-exclude` leaves out; a * at its end stands for anything."""
    if not text.startswith("/") or "*" in text[:-1] or "?" in text:
        raise Refused("must be a path that starts with a slash; one * may stand at its end")
    return text
