"""Application Load Balancer, with and without multi-value headers.

Path and query arrive as the client encoded them; only the order between different names of the query
is lost (and, without multi-value headers, all but the last value of a repeated one). The answer must
be in the mode of the request. The first address of X-Forwarded-For is the client's own claim; the
last is the load balancer's. A health check has no Host and no X-Forwarded fields.
"""

from __future__ import annotations

from .reply import cookie_spellings, joined_fields, listed_fields, payload
from .request import (
    Request,
    body_bytes,
    last_hop,
    multiple,
    query_pairs,
    scheme_of,
    server_of,
    single,
    text,
)
from .source import Source, mounted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .reply import Reply
    from .request import Event

_REASONS = {
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    206: "Partial Content",
    301: "Moved Permanently",
    302: "Found",
    303: "See Other",
    304: "Not Modified",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    410: "Gone",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


def is_multi(event: Event) -> bool:
    """Tell whether the target group has `lambda.multi_value_headers.enabled`."""
    return event.get("multiValueHeaders") is not None


class LoadBalancer(Source):
    """Application Load Balancer."""

    name = "alb"
    service = "Application Load Balancer"
    limit = 1_000_000
    surely_fits = 150_000
    """The documented 1 MB of answer JSON, read the cautious way."""

    def request(self, event: Event, root_path: str | None = None) -> Request:
        """Return the request that the event stands for (see `Source.request`)."""
        fields, known = (
            multiple(event["multiValueHeaders"]) if is_multi(event) else single(event.get("headers"))
        )
        scheme = scheme_of(known.get("x-forwarded-proto", "http"))
        host, port = server_of(known.get("host") or "localhost", known.get("x-forwarded-port", ""), scheme)
        root, inner, raw = mounted(text(self.name, event, "path") or "/", "", root_path, True)
        return Request(
            self.name,
            event,
            text(self.name, event, "httpMethod"),
            root,
            inner,
            raw,
            "&".join([f"{name}={value}" for name, value in query_pairs(self.name, event)]),
            fields,
            known,
            body_bytes(self.name, event.get("body"), event.get("isBase64Encoded")),
            last_hop(known.get("x-forwarded-for", "")),
            host,
            port,
            scheme,
            "1.1",
            "",
        )

    def answer(self, request: Request, reply: Reply) -> dict[str, Any]:
        """Return the reply in the mode that the request came in (see `Source.answer`)."""
        body, encoded = payload(reply)
        answer: dict[str, Any] = {
            "statusCode": reply.status,
            "statusDescription": f"{reply.status} {reply.reason or _REASONS.get(reply.status, 'Status')}",
            "body": body,
            "isBase64Encoded": encoded,
        }
        if is_multi(request.event):
            answer["multiValueHeaders"] = listed_fields(reply.fields)
            return answer
        headers, cookies = joined_fields(reply.fields)
        headers.update(cookie_spellings(cookies))
        answer["headers"] = headers
        return answer
