"""The application's answer: checked once, then written by each source in its own format.

Rules kept here: RFC 9110, section 5.5 (no CR, LF or NUL in a field, or a client could be made to see
headers the application never sent), section 6.4.1 (no body with HEAD, 204 and 304), section 7.6.1
(connection fields end here: the front door opens its own connection to the client).
"""

from __future__ import annotations

from binascii import b2a_base64

from ..errors import BadReply, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .request import Fields

_TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)
_KNOWN_MOST = 512
"""An application that makes names up does not grow the memo without end."""

_names: dict[str | bytes, str] = {}
_texts: dict[str, bool] = {"": True}

_TEXT_TYPES = frozenset(
    (
        "application/ecmascript",
        "application/graphql",
        "application/graphql-response",
        "application/javascript",
        "application/json",
        "application/json-seq",
        "application/jsonl",
        "application/ld+json",
        "application/ndjson",
        "application/sql",
        "application/toml",
        "application/typescript",
        "application/x-javascript",
        "application/x-ndjson",
        "application/x-www-form-urlencoded",
        "application/x-yaml",
        "application/xml",
        "application/xml-dtd",
        "application/yaml",
    )
)
NO_BODY = frozenset((204, 304))


class Reply:
    """An answer that may be sent: every field checked, the body final.

    Attributes:
        status: From 200 to 599.
        reason: The reason phrase the application gave, or "".
        known: The fields by name, in lower case; of a repeated one, the last. No connection fields.
        repeated: All fields in order when a name is there twice, else None.
        body: The whole body; empty where HTTP allows none.
    """

    __slots__ = ("body", "known", "reason", "repeated", "status")

    def __init__(
        self,
        status: int,
        reason: str,
        known: dict[str, str],
        repeated: list[tuple[str, str]] | None,
        body: bytes,
    ) -> None:
        self.status = status
        self.reason = reason
        self.known = known
        self.repeated = repeated
        self.body = body

    @property
    def fields(self) -> Fields:
        """All fields in the application's order."""
        return self.known.items() if self.repeated is None else self.repeated

    def add(self, name: str, value: str) -> None:
        """Add a field that the answer does not have yet."""
        self.known[name] = value
        if self.repeated is not None:
            self.repeated.append((name, value))


def reply_with(status: int, reason: str, fields: list[tuple[str, str]], body: bytes) -> Reply:
    """Return an answer with these fields, which are checked already."""
    known = dict(fields)
    return Reply(status, reason, known, None if len(known) == len(fields) else fields, body)


def field_name(name: str | bytes) -> str:
    """Return a response field's name in lower case, or "" for one that ends at this connection.

    Raises:
        BadReply: It is not a token.
    """
    octets = name if isinstance(name, bytes) else name.encode("latin-1", "replace")
    if not octets or octets.translate(None, _TOKEN):
        raise BadReply(f"the header name {shown(name)} is not a token")
    lower = octets.decode("ascii").lower()
    if lower in _HOP_BY_HOP:
        lower = ""
    if len(_names) < _KNOWN_MOST:
        _names[name] = lower
    return lower


def field_value(name: str | bytes, value: str) -> str:
    """Return a response field's value as an event's JSON carries it.

    WSGI and ASGI give the octets as latin-1 text; what is UTF-8 underneath leaves as the text it is,
    because the services write JSON text as UTF-8.

    Raises:
        BadReply: A line break or NUL would let the application's data become headers of its own.
    """
    if "\r" in value or "\n" in value or "\0" in value:
        raise BadReply(f"the header {name!r} has a line break or NUL in its value: {shown(value)}")
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _slow_fields(headers: Sequence[tuple[str | bytes, str]]) -> list[tuple[str, str]]:
    """Return checked fields of an answer that the quick way does not take: new names, repeats, other text."""
    try:
        fields = [(field_name(name), field_value(name, value)) for name, value in headers]
    except (AttributeError, TypeError, ValueError):
        raise BadReply(f"the headers are not pairs of text: {shown(headers)}") from None
    return [field for field in fields if field[0]]


def checked(
    status: int, reason: str, headers: Sequence[tuple[str | bytes, str]], body: bytes | None, head: bool
) -> Reply:
    """Return the answer when it may be sent.

    Args:
        status: The application's status.
        reason: Its reason phrase, or "".
        headers: Its header fields: names as text or bytes, values as latin-1 text.
        body: Everything it sent after them, or None when that is still to come.
        head: Whether the request was HEAD.

    Raises:
        BadReply: Status, a field or the length of the body is not what HTTP allows.
    """
    known: dict[str, str] = {}
    try:
        for name, value in headers:
            known[_names[name]] = value
        text = "".join(known.values())
        if text.isascii() and len(known) == len(headers) and _sound(status, known, text, body, head):
            return Reply(status, reason, known, None, body)  # type: ignore[arg-type]  # it is not None
    except (KeyError, TypeError, ValueError):
        pass
    return checked_slowly(status, reason, headers, body, head)


def checked_octets(
    status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes | None, head: bool
) -> Reply:
    """Do the same for fields that are bytes, as ASGI has them."""
    known: dict[str, str] = {}
    try:
        for name, value in headers:
            known[_names[name]] = value.decode()
        if len(known) == len(headers) and _sound(status, known, "".join(known.values()), body, head):
            return Reply(status, "", known, None, body)  # type: ignore[arg-type]  # it is not None
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    try:
        text = [(name, value.decode("latin-1")) for name, value in headers]
    except (AttributeError, TypeError, ValueError):
        raise BadReply(f"the headers are not pairs of bytes: {shown(headers)}") from None
    return checked_slowly(status, "", text, body, head)


def _sound(status: int, known: dict[str, str], text: str, body: bytes | None, head: bool) -> bool:
    """Tell whether an ordinary answer has nothing to look at more closely: most have not.

    Args:
        text: All values of `known`.
    """
    return (
        200 <= status <= 599
        and not (head or "\n" in text or "\r" in text or "\0" in text or "" in known)
        and status not in NO_BODY
        and body is not None
        and ("content-length" not in known or known["content-length"] == str(len(body)))
    )


def checked_slowly(
    status: int, reason: str, headers: Sequence[tuple[str | bytes, str]], body: bytes | None, head: bool
) -> Reply:
    """Do the same, and say what is wrong."""
    fields = _slow_fields(headers)
    if not 200 <= status <= 599:
        raise BadReply(f"the status {status} is not a final one")
    if body is None:
        return reply_with(status, reason, fields, b"")
    if status == 204:  # RFC 9110, section 8.6: it has no length either
        fields = [field for field in fields if field[0] != "content-length"]
    if head or status in NO_BODY:
        return reply_with(status, reason, fields, b"")
    declared = dict(fields).get("content-length")
    if declared is not None and declared != str(len(body)):
        raise BadReply(f"the body has {len(body)} bytes, its content-length says {shown(declared)}")
    return reply_with(status, reason, fields, body)


def is_text(content_type: str) -> bool:
    """Tell whether a media type is text, whatever its charset: text/*, JSON, XML, JavaScript, forms, YAML."""
    known = _texts.get(content_type)
    if known is None:
        kind = content_type.partition(";")[0].strip().lower()
        known = kind.startswith("text/") or kind in _TEXT_TYPES or kind.endswith(("+json", "+xml", "+yaml"))
        if len(_texts) < _KNOWN_MOST:
            _texts[content_type] = known
    return known


def payload(reply: Reply) -> tuple[str, bool]:
    """Return the body as an event's JSON carries it, and whether that is base64.

    Text travels as text when its bytes are UTF-8, which is lossless whatever charset it declares;
    everything else, and anything with a content-encoding, travels as base64.
    """
    body = reply.body
    known = reply.known
    if not body:
        return "", False
    encoding = known.get("content-encoding", "")
    kind = known.get("content-type", "")
    if (not encoding or encoding == "identity") and (_texts.get(kind) or is_text(kind)):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return b2a_base64(body, newline=False).decode("ascii"), True


def joined_fields(fields: Fields) -> tuple[dict[str, str], list[str]]:
    """Return the fields as an object of single values, and the Set-Cookie lines apart.

    Repeated fields are joined with ", " (RFC 9110, section 5.3); Set-Cookie is the one that cannot be
    (RFC 6265, section 3).
    """
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in fields:
        if name == "set-cookie":
            cookies.append(value)
        elif name in headers:
            headers[name] += ", " + value
        else:
            headers[name] = value
    return headers, cookies


def listed_fields(fields: Fields) -> dict[str, list[str]]:
    """Return the fields as an object of lists, every repetition kept."""
    headers: dict[str, list[str]] = {}
    for name, value in fields:
        headers.setdefault(name, []).append(value)
    return headers


def cookie_spellings(cookies: list[str]) -> dict[str, str]:
    """Return several Set-Cookie lines as an object of single values, each under a spelling of its own.

    Field names do not depend on case, keys of a JSON object do: "set-cookie", "Set-cookie", "sEt-cookie"…
    """
    headers: dict[str, str] = {}
    for number, cookie in enumerate(cookies):
        letters = list("set-cookie")
        for bit, place in enumerate((0, 1, 2, 4, 5, 6, 7, 8, 9)):
            if number >> bit & 1:
                letters[place] = letters[place].upper()
        headers["".join(letters)] = cookie
    return headers
