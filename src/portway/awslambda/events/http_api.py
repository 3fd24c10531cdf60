"""API Gateway HTTP API, payload format 2.0.

`rawPath` arrives percent decoded, in spite of its name, and a named stage stands in front of it: it is
never decoded again. What that costs (a `%2F` that became "/", a path cut at a decoded "?") is lost
before the function is called. The query is the client's own bytes. Cookies stand in `cookies` alone.
"""

from __future__ import annotations

from .paths import below, mount_point
from .reply import joined_fields, payload
from .request import Request, body_bytes, scheme_of, server_of, version_of
from .source import Source, mounted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .reply import Reply
    from .request import Event


def user_of(authorizer: object) -> str:
    """Return whom the authorizer let in: IAM's ARN, a JWT's subject, a Lambda authorizer's principal."""
    if not isinstance(authorizer, dict):
        return ""
    iam, jwt, custom = authorizer.get("iam"), authorizer.get("jwt"), authorizer.get("lambda")
    claims = jwt.get("claims") if isinstance(jwt, dict) else None
    found = (
        (iam.get("userArn") if isinstance(iam, dict) else None)
        or (claims.get("sub") if isinstance(claims, dict) else None)
        or (custom.get("principalId") if isinstance(custom, dict) else None)
    )
    return found if isinstance(found, str) else ""


def translated(
    source: str, event: Event, path: str, prefix: str, root_path: str | None, encoded: bool
) -> Request:
    """Return the request of a payload 2.0, whose path and prefix the caller has found."""
    context = event["requestContext"]
    http = context["http"]
    headers = event.get("headers") or {}
    host = headers.get("host")
    if host is None:  # AWS sends lower case, emulators do not
        headers = {name.lower(): value for name, value in headers.items() if value is not None}
        host = headers.get("host") or context.get("domainName") or "localhost"
    cookies = event.get("cookies")
    if cookies:
        # A Function URL repeats them in the headers; only one of the two may count.
        headers = {**headers, "cookie": "; ".join(cookies)}
    scheme = headers.get("x-forwarded-proto")
    if scheme != "https":
        scheme = scheme_of(scheme or "")
    name, port = host, 443
    if ":" in host or headers.get("x-forwarded-port") != "443":
        name, port = server_of(host, headers.get("x-forwarded-port", ""), scheme)
    if prefix or encoded or root_path is not None:
        root, inner, raw = mounted(path or "/", prefix, root_path, encoded)
    else:
        root, inner, raw = "", path or "/", None
    body = event.get("body")
    authorizer = context.get("authorizer")
    return Request(
        source,
        event,
        http["method"],
        root,
        inner,
        raw,
        event.get("rawQueryString") or "",
        headers.items(),
        headers,
        body_bytes(source, body, event.get("isBase64Encoded")) if body else b"",
        http.get("sourceIp") or "",
        name,
        port,
        scheme,
        "1.1" if http.get("protocol") == "HTTP/1.1" else version_of(http.get("protocol")),
        user_of(authorizer) if authorizer else "",
    )


def answer_v2(request: Request, reply: Reply) -> dict[str, Any]:
    """Return an answer in payload format 2.0."""
    known = reply.known
    headers, cookies = known, None
    if reply.repeated is not None or "set-cookie" in known:
        headers, cookies = joined_fields(reply.fields)
    body, encoded = payload(reply)
    answer: dict[str, Any] = {
        "statusCode": reply.status,
        "headers": headers,
        "body": body,
        "isBase64Encoded": encoded,
    }
    if cookies:
        answer["cookies"] = cookies
    return answer


class HTTPAPI(Source):
    """API Gateway HTTP API, payload format 2.0."""

    name = "http-api"
    service = "API Gateway HTTP API"

    def request(self, event: Event, root_path: str | None = None) -> Request:
        """Return the request that the event stands for (see `Source.request`)."""
        path = event["rawPath"]
        context = event["requestContext"]
        stage = context.get("stage")
        domain = context.get("domainName") or ""
        prefix = ""
        if stage and stage != "$default" and below(path, f"/{stage}"):
            prefix = f"/{stage}"
            # A custom domain maps to the stage: its public address does not have the name in it.
            if root_path is None and ".execute-api." not in domain:
                root_path = ""
        elif ".execute-api." not in domain:
            prefix = self._base_path(path, event)
        return translated(self.name, event, path, prefix, root_path, False)

    def _base_path(self, path: str, event: Event) -> str:
        """Return a custom domain's mapping as the route shows it, or ""."""
        template = (event.get("routeKey") or "").partition(" ")[2]
        return mount_point(path, template, event.get("pathParameters") or {}) or "" if template else ""

    answer = staticmethod(answer_v2)
