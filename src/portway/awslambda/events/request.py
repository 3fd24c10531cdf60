"""A request as every event source hands it on, and the fields they share.

Nothing here knows a source, a socket, a clock or the environment. Text is kept the way both WSGI and
ASGI can take it without loss: a path is decoded once, and bytes that are not UTF-8 stay in it as
surrogate escapes, so that the WSGI driver can give them back as the bytes they were.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64

from ..errors import BadBody, BadEvent
from .paths import quote, quote_octets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any, Final, TypeAlias

    Event: TypeAlias = dict[str, Any]
    Fields: TypeAlias = Collection[tuple[str, str]]


class Request:
    """One request. Read only: every field is set once, by the source that translated the event.

    Attributes:
        source: Name of the event source, "http-api" for example.
        event: The event as Lambda delivered it.
        method: In upper case, as the client sent it.
        root_path: Where the application is mounted: the stage or a custom domain's base path, percent
            decoded, "" or "/…" without a slash at the end. WSGI's SCRIPT_NAME.
        path: What follows `root_path`, percent decoded exactly once. WSGI's PATH_INFO.
        query: The query string without "?", as the client wrote it where the source tells.
        fields: Header fields as the source delivered them, in the order and number it kept. Names may have
            upper case, values any text: the drivers look names up in a memo and encode values at one go.
        known: The fields by name in lower case; of a repeated one, the last.
        body: The whole body.
        client: The client's address from the place the source vouches for, or "".
        host, port: The server as the client addressed it.
        scheme: "https" or "http".
        http_version: "1.0", "1.1" or "2".
        user: Whom the front door's authorizer let in, or "".
    """

    __slots__ = (
        "_raw_path",
        "body",
        "client",
        "event",
        "fields",
        "host",
        "http_version",
        "known",
        "method",
        "path",
        "port",
        "query",
        "root_path",
        "scheme",
        "source",
        "user",
    )

    def __init__(
        self,
        source: str,
        event: Event,
        method: str,
        root_path: str,
        path: str,
        raw_path: str | None,
        query: str,
        fields: Fields,
        known: dict[str, str],
        body: bytes,
        client: str,
        host: str,
        port: int,
        scheme: str,
        http_version: str,
        user: str,
    ) -> None:
        self.source: Final = source
        self.event: Final = event
        self.method: Final = method
        self.root_path: Final = root_path
        self.path: Final = path
        self._raw_path: Final = raw_path
        self.query: Final = query
        self.fields: Final = fields
        self.known: Final = known
        self.body: Final = body
        self.client: Final = client
        self.host: Final = host
        self.port: Final = port
        self.scheme: Final = scheme
        self.http_version: Final = http_version
        self.user: Final = user

    @property
    def raw_path(self) -> str:
        """The whole path as the client encoded it, root_path included; encoded again where it was lost."""
        raw = self._raw_path
        return quote(self.root_path + self.path) if raw is None else raw

    def raw_octets(self) -> bytes:
        """Return `raw_path` as octets, as ASGI wants it."""
        raw = self._raw_path
        return quote_octets(self.root_path + self.path) if raw is None else raw.encode()

    def values(self, name: str) -> list[str]:
        """Return the values of the field `name` (lower case), in order."""
        return [value for key, value in self.fields if key.lower() == name]


def body_bytes(source: str, body: object, encoded: object) -> bytes:
    """Return an event's body as bytes.

    Args:
        source: Whose event it is, for the error.
        body: The event's body: text, base64 text, or None.
        encoded: The event's own word on whether it is base64.

    Raises:
        BadBody: It is neither, or the base64 is not well formed.
    """
    if not body:
        return b""
    if not isinstance(body, str):
        raise BadBody(source, f"the body is of type {type(body).__name__}")
    try:
        # Not the lenient decoder: it drops what it does not know, and a truncated upload would look whole.
        return a2b_base64(body, strict_mode=True) if encoded else body.encode()
    except Base64Error as error:
        raise BadBody(source, f"the body is not base64: {error}") from None
    except UnicodeError:
        raise BadBody(source, "the body is not text that UTF-8 can carry") from None


def mapping(source: str, event: Event, name: str) -> Event:
    """Return the event's object `name`; null and absent are an empty one.

    Raises:
        BadEvent: It is something else.
    """
    value = event.get(name)
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise BadEvent(source, f"{name} is of type {type(value).__name__}")


def text(source: str, event: Event, name: str, default: str | None = None) -> str:
    """Return the event's text `name`, or `default` when it is null or absent.

    Raises:
        BadEvent: It is not text, or it is absent and there is no default.
    """
    value = event.get(name)
    if value is None and default is not None:
        return default
    if isinstance(value, str):
        return value
    raise BadEvent(source, f"{name} is {'missing' if value is None else f'of type {type(value).__name__}'}")


def single(headers: Event | None) -> tuple[Fields, dict[str, str]]:
    """Return header fields, and the same by lower-case name, from an object of single values."""
    if not headers:
        return (), {}
    if None in headers.values():
        headers = {name: value for name, value in headers.items() if value is not None}
    known = (
        headers if "".join(headers).islower() else {name.lower(): value for name, value in headers.items()}
    )
    return headers.items(), known


def multiple(headers: Event | None) -> tuple[Fields, dict[str, str]]:
    """Return header fields, and the last of each by lower-case name, from an object of lists."""
    if not headers:
        return (), {}
    fields = [
        (name, value)
        for name, values in headers.items()
        if values is not None
        for value in ((values,) if isinstance(values, str) else values)
    ]
    return fields, {name.lower(): value for name, value in fields}


def query_pairs(source: str, event: Event) -> list[tuple[str, str]]:
    """Return names and values of an event's query parameters, spelt as the event spells them.

    The single-value object keeps only the last of a repeated name, so the multi-value one counts.

    Raises:
        BadEvent: They are not objects of text.
    """
    try:
        multi = event.get("multiValueQueryStringParameters")
        if multi:
            pairs = [(name, value) for name, values in multi.items() for value in values or ("",)]
        else:
            single = event.get("queryStringParameters")
            pairs = [(name, value or "") for name, value in single.items()] if single else []
        "".join([value for _, value in pairs])
    except (AttributeError, TypeError):
        raise BadEvent(source, "the query parameters are not an object of text") from None
    return pairs


def scheme_of(forwarded: str) -> str:
    """Return "http" or "https" from X-Forwarded-Proto; the last word is the service's own."""
    if forwarded == "https" or not forwarded:
        return "https"
    return "http" if forwarded.rpartition(",")[2].strip().lower() in ("http", "ws") else "https"


def server_of(host: str, forwarded_port: str, scheme: str) -> tuple[str, int]:
    """Return the server's name and port from the Host field and X-Forwarded-Port.

    An IPv6 address keeps its brackets off: ("::1", 8000) from "[::1]:8000".
    """
    name, port = host, ""
    if host[:1] == "[":
        name, _, rest = host[1:].partition("]")
        port = rest[1:]
    elif ":" in host:
        name, _, port = host.rpartition(":")
        if ":" in name:  # an IPv6 address without brackets has no port
            name, port = host, ""
    port = forwarded_port.rpartition(",")[2].strip() or port
    if port.isascii() and port.isdigit() and len(port) <= 5:
        return name, int(port)
    return name, 80 if scheme == "http" else 443


def address_of(hop: str) -> str:
    """Return the address of one X-Forwarded-For entry, which may carry a port."""
    hop = hop.strip()
    if hop[:1] == "[":
        return hop[1:].partition("]")[0]
    if hop.count(":") == 1:
        return hop.partition(":")[0]
    return hop


def last_hop(forwarded_for: str) -> str:
    """Return the last address of X-Forwarded-For: the one the service itself saw and appended."""
    return address_of(forwarded_for.rpartition(",")[2])


_VERSIONS: dict[object, str] = {
    "HTTP/1.0": "1.0",
    "HTTP/2": "2",
    "HTTP/2.0": "2",
    "HTTP/3": "3",
    "HTTP/3.0": "3",
}


def version_of(protocol: object) -> str:
    """Return ASGI's http_version from "HTTP/1.1"; what else a source says counts as 1.1."""
    return _VERSIONS.get(protocol, "1.1")
