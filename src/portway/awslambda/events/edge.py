"""Lambda@Edge: viewer request and origin request events, answered by the function itself.

The body is always base64 and may be cut (40 KB for a viewer request, 1 MB for an origin request). An
answer's status is text, its fields are lists of {key, value} by lower-case name, its body says its own
encoding. CloudFront answers 502 when the answer has a field that it reserves.
"""

from __future__ import annotations

from ..errors import BadEvent, BodyTruncated
from .reply import payload
from .request import Request, body_bytes, mapping, scheme_of, server_of, text
from .source import Source, mounted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .reply import Reply
    from .request import Event, Fields

_RESERVED = frozenset(
    (
        "content-length",
        "expect",
        "proxy-authenticate",
        "proxy-authorization",
        "via",
        "warning",
        "x-cache",
        "x-forwarded-proto",
        "x-real-ip",
    )
)
_RESERVED_PREFIXES = ("x-accel-", "x-amz-cf-", "x-amzn-", "x-edge-")


def _fields(source: str, headers: Event) -> Fields:
    try:
        return [(name.lower(), line["value"] + "") for name, lines in headers.items() for line in lines]
    except (KeyError, TypeError):
        raise BadEvent(source, "headers is not an object of lists of {key, value}") from None


class Edge(Source):
    """Lambda@Edge, viewer request or origin request."""

    name = "lambda-edge"
    service = "Lambda@Edge"
    limit = 1_000_000
    surely_fits = 5_000

    def request(self, event: Event, root_path: str | None = None) -> Request:
        """Return the request that the event stands for (see `Source.request`)."""
        cf = event["Records"][0]["cf"]
        message = mapping(self.name, cf, "request")
        fields = _fields(self.name, mapping(self.name, message, "headers"))
        known = dict(fields)
        scheme = scheme_of(known.get("cloudfront-forwarded-proto") or known.get("x-forwarded-proto", ""))
        domain = mapping(self.name, cf, "config").get("distributionDomainName")
        host, port = server_of(known.get("host") or domain or "localhost", "", scheme)
        root, inner, raw = mounted(text(self.name, message, "uri") or "/", "", root_path, True)
        return Request(
            self.name,
            event,
            text(self.name, message, "method"),
            root,
            inner,
            raw,
            text(self.name, message, "querystring", ""),
            fields,
            known,
            self._body(message),
            text(self.name, message, "clientIp", ""),
            host,
            port,
            scheme,
            "1.1",
            "",
        )

    def _body(self, message: Event) -> bytes:
        body = mapping(self.name, message, "body")
        if body.get("inputTruncated"):
            raise BodyTruncated(
                self.name, "CloudFront cut the request body (40 KB at the viewer, 1 MB at the origin)"
            )
        return body_bytes(self.name, body.get("data"), body.get("encoding") != "text")

    def limit_of(self, request: Request) -> int:
        """Return the most bytes of a generated answer: 40 KB at the viewer, 1 MB at the origin."""
        config = request.event["Records"][0]["cf"].get("config") or {}
        return 40_000 if config.get("eventType") == "viewer-request" else self.limit

    def answer(self, request: Request, reply: Reply) -> dict[str, Any]:
        """Return the reply as CloudFront takes a generated response (see `Source.answer`)."""
        headers: dict[str, list[dict[str, str]]] = {}
        for name, value in reply.fields:
            if name not in _RESERVED and not name.startswith(_RESERVED_PREFIXES):
                headers.setdefault(name, []).append({"key": name, "value": value})
        body, encoded = payload(reply)
        answer: dict[str, Any] = {"status": str(reply.status), "headers": headers}
        if reply.reason:
            answer["statusDescription"] = reply.reason
        if body:
            answer["body"] = body
            answer["bodyEncoding"] = "base64" if encoded else "text"
        return answer
