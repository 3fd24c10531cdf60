"""Why Portway and another parser may disagree. A disagreement that no reason here explains is a failure.

Every reason is checked on the bytes themselves, so that it cannot explain what it does not describe.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.engine.differential.seen import Incomplete, Rejection, Request, Seen, by_portway

CTL = rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
# llhttp's list, as httptools 0.9 has it; a method that begins one of these fails a byte later than others.
LLHTTP_METHODS = frozenset(
    b"DELETE GET HEAD POST PUT CONNECT OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND "
    b"REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PATCH PURGE "
    b"MKCALENDAR LINK UNLINK SOURCE PRI DESCRIBE ANNOUNCE SETUP PLAY PAUSE TEARDOWN GET_PARAMETER SET_PARAMETER "
    b"REDIRECT RECORD FLUSH QUERY".split()
)


@dataclass(frozen=True)
class Stricter:
    """What Portway refuses and others may accept.

    Attributes:
        why: The engine's own reason.
        because: Why it is right to.
        pattern: What must be found in the bytes, after any empty lines, for this reason to be true.
    """

    why: str
    because: str
    pattern: bytes


LINE = rb"[^\r\n]*"
STRICTER = (
    Stricter("CONNECT is not served", "a tunnel would hand the connection to nobody", rb"\ACONNECT "),
    Stricter(
        "asterisk-form is for OPTIONS alone", "RFC 9112 3.2.4 has it for nothing else", rb"\A(?!OPTIONS )\S+ \*"
    ),
    Stricter(
        "HTTP version is neither 1.0 nor 1.1",
        "what else a version means nobody here knows; 505 is its answer",
        rb"\A\S+ \S+ HTTP/(?!1\.[01]\r)\d\.\d\r\n",
    ),
    Stricter("bare CR in the head", "some proxies take it for a line's end (RFC 9112 2.2)", rb"\r(?!\n)"),
    Stricter(
        "request line does not end in CR LF", "a bare LF is a line's end to some alone", rb"\A[^\n]*(?<!\r)\n|\A\n"
    ),
    Stricter(
        "control character in a field value", "they split or end lines elsewhere (RFC 9110 5.5)", CTL + rb"|(?<!\r)\n"
    ),
    Stricter("malformed field name", "a name is a token, right before its colon (RFC 9112 5.1)", rb"\n" + LINE),
    Stricter(
        "expectation other than 100-continue", "RFC 9110 10.1.1 has 417 for it", rb"(?i)\nexpect:(?!\s*100-continue\s)"
    ),
    Stricter(
        "malformed HTTP version", "exactly one space, then eight characters (RFC 9112 2.3)", rb"\A\S+ \S+ " + LINE
    ),
    Stricter(
        "malformed method", "a token, then one space (RFC 9112 3)", rb"\A(?![!#$%&'*+.^_`|~0-9A-Za-z-]+ )"
    ),
    Stricter(
        "malformed request target",
        "visible ASCII without a fragment, then one space: what others decode, cut or accept differs",
        rb"\A\S+ ([^\r\n]*[^!-~ \r\n]|[!-\"$-~]*( |\r|#|\Z))",
    ),
    Stricter(
        "request target is neither a path nor an http URL", "RFC 9112 3.2 has four forms", rb"(?i)\A\S+ (?!/|http(s)?://[^ ])"
    ),
    Stricter(
        "malformed authority in the request target",
        "it replaces Host, so Host's grammar holds for it",
        rb"(?i)\A\S+ https?://",
    ),
    Stricter("no Host field", "RFC 9112 3.2: 400", rb"\A\S+ \S+ HTTP/1\.1\r\n(?!(?s:.)*\nhost:)"),
    Stricter(
        "malformed Host field", "an application builds URLs from it (RFC 9110 7.2)", rb"(?i)\nhost:(?!\s*[\w.]+\s*\r)"
    ),
    Stricter("more than one Host field", "proxies pick different ones", rb"(?is)\nhost:.*\nhost:"),
    Stricter(
        "more than one Content-Length field", "proxies pick different ones", rb"(?is)\ncontent-length:.*\ncontent-length:"
    ),
    Stricter(
        "more than one Transfer-Encoding field", "one coding is all there is to say", rb"(?is)\ntransfer-encoding:.*\ntransfer-encoding:"
    ),
    Stricter(
        "more than one Content-Type field", "frameworks pick different ones", rb"(?is)\ncontent-type:.*\ncontent-type:"
    ),
    Stricter(
        "malformed Content-Length", "digits alone: no list, sign or base", rb"(?i)\ncontent-length:(?!\s*\d{1,18}\s*\r)"
    ),
    Stricter(
        "Transfer-Encoding other than chunked", "no other coding is understood", rb"(?i)\ntransfer-encoding:(?!\s*chunked\s*\r)"
    ),
    Stricter(
        "Transfer-Encoding beside Content-Length or in HTTP/1.0",
        "RFC 9112 6.3 lets a server drop the length; whoever is in front may have dropped the other",
        rb"(?i)\ntransfer-encoding:",
    ),
    Stricter("malformed chunk size", "hexadecimal digits alone: no sign, prefix or space", rb"\r\n\r\n"),
    Stricter("chunk size too long", "15 digits are more than any body", rb"\n[0-9a-fA-F]{16}"),
    Stricter("bare CR in a chunk size", "both bytes of a line's end are looked at", rb"\r(?!\n)"),
    Stricter("chunk longer than its size", "both bytes behind a chunk are looked at", rb"\r\n\r\n"),
    Stricter("bare CR after a chunk", "both bytes behind a chunk are looked at", rb"\r(?!\n)"),
    Stricter("control character in a chunk extension", "it may hide a line's end", CTL + rb"|(?<!\r)\n"),
    Stricter("malformed trailer name", "trailers are field lines like others", rb"\n0+(;[^\r\n]*)?\r\n" + LINE),
    Stricter("forbidden trailer field", "RFC 9110 6.5.1", rb"(?i)\n0+(;[^\r\n]*)?\r\n(?s:.)*\n?[\w-]+:"),
    Stricter("control character in a trailer", "trailers are field lines like others", CTL + rb"|(?<!\r)\n"),
    Stricter("bare CR in the trailers", "trailers are field lines like others", rb"\r(?!\n)"),
)


def explain(data: bytes, ours: Seen, theirs: Seen) -> str | None:
    """Say why two parsers see different things, or None when nothing explains it."""
    if isinstance(ours, Rejection):
        return _stricter(data, ours)
    if isinstance(theirs, Rejection):
        return _laxer(data, ours, theirs)
    return None


def _stricter(data: bytes, ours: Rejection) -> str | None:
    request = data.lstrip(b"\r\n") if data.startswith(b"\r\n") else data
    for reason in STRICTER:
        if reason.why == ours.why and re.search(reason.pattern, request):
            return f"stricter here: {reason.why}, because {reason.because}"
    return None


def _laxer(data: bytes, ours: Request | Incomplete, theirs: Rejection) -> str | None:
    """What another parser refuses and Portway does not, or not yet."""
    if isinstance(ours, Incomplete) and isinstance(by_portway(data + b"\r\n\r\n"), Rejection):
        return "later here: a line is judged when it is complete, or over its limit"
    method = data.lstrip(b"\r\n").partition(b" ")[0]
    if method not in LLHTTP_METHODS and theirs.why in ("Invalid method encountered", "Expected space after method"):
        return "laxer here: any token is a method (RFC 9110 9.1), llhttp has a list"
    if method == b"PRI" and theirs.why == "Expected HTTP/2 Connection Preface":
        return "laxer here: PRI alone is a method like others; HTTP/2 would need its version, which gets 505"
    if re.search(rb"\n[0-9a-fA-F]+;[^\r\n]*[\x80-\xff]", data) and "chunk extensions" in theirs.why:
        return "laxer here: obs-text in a chunk extension is dropped with it; no CR or LF can hide there"
    return None
