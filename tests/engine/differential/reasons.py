"""Why Portway and another parser may disagree. A disagreement that no reason here explains is a failure.

Every reason is checked on the bytes themselves, so that it cannot explain what it does not describe.
"""

from __future__ import annotations

import re

from tests.engine.differential.seen import Incomplete, Rejection, Request, Seen, by_portway

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
CONTROL = rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n"
BARE_CR = rb"\r(?!\n)"
CHUNKED = rb"(?i)\ntransfer-encoding:\s*chunked\s*\r"
LAST_CHUNK = rb"\n0+(;[^\r\n]*)?\r\n"
# llhttp's list, as httptools 0.9 has it.
LLHTTP_METHODS = frozenset(
    b"DELETE GET HEAD POST PUT CONNECT OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK "
    b"BIND REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PATCH "
    b"PURGE MKCALENDAR LINK UNLINK SOURCE PRI DESCRIBE ANNOUNCE SETUP PLAY PAUSE TEARDOWN GET_PARAMETER "
    b"SET_PARAMETER REDIRECT RECORD FLUSH QUERY".split()
)


def twice(name: bytes) -> bytes:
    """Return the pattern of a field that stands there twice."""
    return rb"(?is)\n" + name + rb":.*\n" + name + rb":"


def not_value(name: bytes, value: bytes) -> bytes:
    """Return the pattern of a field whose value is anything but this."""
    return rb"(?i)\n" + name + rb":(?![ \t]*" + value + rb"[ \t]*\r)"


# What Portway refuses and others may accept: the engine's own reason -> why it is right, and what must be
# found in the bytes, after any empty lines, for this to be true.
STRICTER: dict[str, tuple[str, bytes]] = {
    # the request line
    "CONNECT is not served": ("a tunnel would hand the connection to nobody", rb"\ACONNECT "),
    "asterisk-form is for OPTIONS alone": (
        "RFC 9112 3.2.4 has it for nothing else",
        rb"\A(?!OPTIONS )\S+ \*",
    ),
    "HTTP version is neither 1.0 nor 1.1": (
        "what another version means nobody here knows, and 505 says so",
        rb"\A\S+ \S+ HTTP/(?!1\.[01]\r)\d\.\d\r\n",
    ),
    "request line does not end in CR LF": ("a bare LF ends a line for some alone", rb"\A([^\n]*[^\n\r])?\n"),
    "malformed method": ("it is a token, then one space (RFC 9112 3)", rb"\A(?!" + TOKEN + rb" )"),
    "malformed request target": (
        "it is visible ASCII without a fragment, then one space; elsewhere the rest is cut, decoded or kept",
        rb"\A\S+ ([^\r\n]*[^!-~ \r\n]|[!-\"$-~]*( |\r|#|\Z))",
    ),
    "malformed HTTP version": (
        "eight characters behind one space (RFC 9112 2.3)",
        rb"\A\S+ \S+ (?!HTTP/\d\.\d\r\n)",
    ),
    "request target is neither a path nor an http URL": (
        "RFC 9112 3.2 has four forms",
        rb"(?i)\A\S+ (?!/|https?://[^ ])",
    ),
    "malformed authority in the request target": (
        "it replaces Host, so Host's grammar holds for it",
        rb"(?i)\A\S+ https?://(?![\w.]+(:\d{1,4})?[/? ])",
    ),
    # field lines
    "bare CR in the head": ("some proxies take it for a line's end (RFC 9112 2.2)", BARE_CR),
    "control character in a field value": ("it splits or ends lines elsewhere (RFC 9110 5.5)", CONTROL),
    "malformed field name": (
        "it is a token, right before its colon (RFC 9112 5.1)",
        rb"\n(?!\r\n|" + TOKEN + rb":)",
    ),
    "expectation other than 100-continue": (
        "RFC 9110 10.1.1 has 417 for it",
        not_value(b"expect", b"100-continue"),
    ),
    "no Host field": ("RFC 9112 3.2: 400", rb"(?i)\A\S+ \S+ HTTP/1\.1\r\n((?!host:)[^\r\n]+\r\n)*\r\n"),
    "malformed Host field": (
        "applications build URLs from it (RFC 9110 7.2)",
        not_value(b"host", rb"[\w.]+(:\d{1,4})?"),
    ),
    "more than one Host field": ("proxies pick different ones", twice(b"host")),
    "more than one Content-Type field": ("frameworks pick different ones", twice(b"content-type")),
    "more than one Content-Length field": ("proxies pick different ones", twice(b"content-length")),
    "more than one Transfer-Encoding field": ("there is one coding to name", twice(b"transfer-encoding")),
    "malformed Content-Length": (
        "digits alone: no list, sign or base",
        not_value(b"content-length", rb"\d{1,18}"),
    ),
    "Transfer-Encoding other than chunked": (
        "nothing else is understood",
        not_value(b"transfer-encoding", b"chunked"),
    ),
    "Transfer-Encoding beside Content-Length or in HTTP/1.0": (
        "RFC 9112 6.3 lets a server drop the length; who stands in front may have dropped the other",
        CHUNKED,
    ),
    # chunked bodies
    "malformed chunk size": ("hexadecimal digits alone: no sign, prefix or space", CHUNKED),
    "chunk size too long": ("15 digits are more than any body", rb"\n[0-9a-fA-F]{16}"),
    "bare CR in a chunk size": ("both bytes that end a line are looked at", BARE_CR),
    "chunk longer than its size": ("both bytes behind a chunk are looked at", CHUNKED),
    "bare CR after a chunk": ("both bytes behind a chunk are looked at", BARE_CR),
    "control character in a chunk extension": ("it may hide a line's end", CONTROL),
    "chunk extensions too long": (
        "gigabytes of them may surround one byte of body",
        rb"(?s)\n[0-9a-fA-F]+;.{16000}",
    ),
    "trailers too long": (
        "they are dropped, so nobody needs much of them",
        rb"(?s)" + LAST_CHUNK + rb".{16000}",
    ),
    "malformed trailer name": ("trailers are field lines like others", LAST_CHUNK),
    "forbidden trailer field": ("RFC 9110 6.5.1", LAST_CHUNK + rb"(?s:.)*" + TOKEN + rb":"),
    "control character in a trailer": ("trailers are field lines like others", CONTROL),
    "bare CR in the trailers": ("trailers are field lines like others", BARE_CR),
}


def explain(data: bytes, ours: Seen, theirs: Seen) -> str | None:
    """Say why two parsers see different things, or None when nothing explains it."""
    if isinstance(ours, Rejection):
        return _stricter(data, ours)
    if isinstance(theirs, Rejection):
        return _laxer(data, ours, theirs)
    return None


def _stricter(data: bytes, ours: Rejection) -> str | None:
    while data.startswith(b"\r\n"):
        data = data[2:]
    because, pattern = STRICTER.get(ours.why, ("", b""))
    if because and re.search(pattern, data):
        return f"stricter here: {ours.why}, because {because}"
    return None


def _laxer(data: bytes, ours: Request | Incomplete, theirs: Rejection) -> str | None:
    """Explain what another parser refuses and Portway does not, or not yet."""
    if isinstance(ours, Incomplete) and isinstance(by_portway(data + b"\r\n\r\n"), Rejection):
        return "later here: a line is judged when it is complete, or over its limit"
    if data.startswith(b"\r\n") and theirs.why == "no request line received":
        return "laxer here: RFC 9112 2.2 asks servers to ignore an empty line before a request"
    method = data.lstrip(b"\r\n").partition(b" ")[0]
    if method == b"PRI" and theirs.why == "Expected HTTP/2 Connection Preface":
        return "laxer here: PRI is a method like others, and HTTP/2's preface gets 505 for its version"
    if method not in LLHTTP_METHODS and theirs.why in (
        "Invalid method encountered",
        "Expected space after method",
    ):
        return "laxer here: any token is a method (RFC 9110 9.1), llhttp has a list"
    if "chunk extensions" in theirs.why and re.search(rb"\n[0-9a-fA-F]+;", data):
        return "laxer here: extensions are dropped whatever they say; no CR or LF can hide in them"
    return None
