"""API Gateway REST API, and an HTTP API that sends payload format 1.0.

A REST API's `path` is percent encoded and has no stage; `requestContext.path` has it; behind a custom
domain both have the base path. An HTTP API's is decoded, as in 2.0. Query parameters arrive decoded,
so their original spelling is lost and they are encoded again; the single-value objects keep only the
last of a repeated name, so the multi-value ones count. There is no content-length. An answer may hold
no key that the format does not name: API Gateway turns it into a 502.
"""

from __future__ import annotations

from .paths import below, encoded_query, mount_point
from .reply import listed_fields, payload
from .request import (
    Request,
    body_bytes,
    mapping,
    multiple,
    query_pairs,
    scheme_of,
    server_of,
    single,
    text,
    version_of,
)
from .source import Source, mounted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .reply import Reply
    from .request import Event


def user_of(context: Event) -> str:
    """Return whom the authorizer let in: a Lambda authorizer's principal, Cognito's subject, IAM's ARN."""
    authorizer, identity = context.get("authorizer"), context.get("identity")
    found: object = None
    if isinstance(authorizer, dict):
        claims = authorizer.get("claims")
        found = authorizer.get("principalId") or (claims.get("sub") if isinstance(claims, dict) else None)
    if not found and isinstance(identity, dict):
        found = identity.get("userArn")
    return found if isinstance(found, str) else ""


class RestAPI(Source):
    """API Gateway REST API."""

    name = "rest-api"
    service = "API Gateway REST API"
    streams = True
    encoded = True

    def request(self, event: Event, root_path: str | None = None) -> Request:
        """Return the request that the event stands for (see `Source.request`)."""
        context = mapping(self.name, event, "requestContext")
        identity = mapping(self.name, context, "identity")
        multi = event.get("multiValueHeaders")
        fields, known = multiple(multi) if multi else single(event.get("headers"))
        scheme = scheme_of(known.get("x-forwarded-proto", ""))
        host, port = server_of(
            known.get("host") or context.get("domainName") or "localhost",
            known.get("x-forwarded-port", ""),
            scheme,
        )
        path, prefix = self._paths(event, context)
        root, inner, raw = mounted(path, prefix, root_path, self.encoded)
        return Request(
            self.name,
            event,
            text(self.name, event, "httpMethod"),
            root,
            inner,
            raw,
            encoded_query(query_pairs(self.name, event)),
            fields,
            known,
            body_bytes(self.name, event.get("body"), event.get("isBase64Encoded")),
            text(self.name, identity, "sourceIp", ""),
            host,
            port,
            scheme,
            version_of(context.get("protocol")),
            user_of(context),
        )

    def _paths(self, event: Event, context: Event) -> tuple[str, str]:
        """Return the public path as far as the event knows it, and the stage or base path in it."""
        path = text(self.name, event, "path") or "/"
        public = context.get("path")
        if not isinstance(public, str) or not public.endswith(path):
            at_stage = path == "/" and public == f"/{context.get('stage')}"
            public = f"{public}/" if at_stage else path
        template = event.get("resource")
        prefix = None
        if isinstance(template, str) and template[:1] == "/":
            prefix = mount_point(public, template, mapping(self.name, event, "pathParameters"))
        return public, public[: -len(path)] if prefix is None else prefix

    def answer(self, request: Request, reply: Reply) -> dict[str, Any]:
        """Return the reply in payload format 1.0 (see `Source.answer`)."""
        body, encoded = payload(reply)
        return {**self.prelude(request, reply), "body": body, "isBase64Encoded": encoded}

    def prelude(self, request: Request, reply: Reply) -> dict[str, Any]:
        """Return status and fields; API Gateway merges the two objects (see `Source.prelude`)."""
        if reply.repeated is None:
            return {"statusCode": reply.status, "headers": reply.known}
        listed = listed_fields(reply.fields)
        return {
            "statusCode": reply.status,
            "headers": {name: values[0] for name, values in listed.items() if len(values) == 1},
            "multiValueHeaders": {name: values for name, values in listed.items() if len(values) > 1},
        }


class HTTPAPIv1(RestAPI):
    """API Gateway HTTP API, payload format 1.0: like REST, but the path is decoded and has the stage."""

    name = "http-api-v1"
    service = "API Gateway HTTP API"
    streams = False
    encoded = False

    def _paths(self, event: Event, context: Event) -> tuple[str, str]:
        path = text(self.name, event, "path") or "/"
        stage = context.get("stage", "$default")
        return path, f"/{stage}" if stage != "$default" and below(path, f"/{stage}") else ""
