"""VPC Lattice, event structures 1 and 2.

Version 1 has snake-case keys, joins repeated header fields and keeps the last of a repeated query
parameter; version 2 keeps lists of both. Lattice appends the caller to X-Forwarded-For. Its pages do
not say whether query values arrive decoded; they are taken as decoded, and a path that brings its own
query is taken at its word.
"""

from __future__ import annotations

from ..errors import BadEvent
from .paths import encoded_query
from .reply import cookie_spellings, joined_fields, payload
from .request import Request, body_bytes, last_hop, mapping, multiple, scheme_of, server_of, text
from .source import Source, mounted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .reply import Reply
    from .request import Event


class Lattice(Source):
    """VPC Lattice, event structure 2."""

    name = "vpc-lattice"
    service = "VPC Lattice"
    keys = ("path", "queryStringParameters", "isBase64Encoded")

    def request(self, event: Event, root_path: str | None = None) -> Request:
        """Return the request that the event stands for (see `Source.request`)."""
        path_key, query_key, encoded_key = self.keys
        fields, known = multiple(event.get("headers"))
        scheme = scheme_of(known.get("x-forwarded-proto", ""))
        host, port = server_of(known.get("host") or "localhost", known.get("x-forwarded-port", ""), scheme)
        path, mark, query = text(self.name, event, path_key).partition("?")
        root, inner, raw = mounted(path or "/", "", root_path, True)
        identity = mapping(self.name, mapping(self.name, event, "requestContext"), "identity")
        return Request(
            self.name,
            event,
            text(self.name, event, "method"),
            root,
            inner,
            raw,
            query if mark else self._query(mapping(self.name, event, query_key)),
            fields,
            known,
            body_bytes(self.name, event.get("body"), event.get(encoded_key)),
            last_hop(known.get("x-forwarded-for", "")),
            host,
            port,
            scheme,
            "1.1",
            text(self.name, identity, "principal", ""),
        )

    def _query(self, parameters: Event) -> str:
        try:
            return encoded_query(
                [
                    (name, value or "")
                    for name, values in parameters.items()
                    for value in (values if isinstance(values, list) else (values,))
                ]
            )
        except (AttributeError, TypeError):
            raise BadEvent(self.name, "the query parameters are not an object of text") from None

    def answer(self, request: Request, reply: Reply) -> dict[str, Any]:
        """Return the reply as Lattice takes it (see `Source.answer`)."""
        headers, cookies = joined_fields(reply.fields)
        headers.update(cookie_spellings(cookies))
        body, encoded = payload(reply)
        return {"statusCode": reply.status, "headers": headers, "body": body, "isBase64Encoded": encoded}


class LatticeV1(Lattice):
    """VPC Lattice, event structure 1."""

    name = "vpc-lattice-v1"
    keys = ("raw_path", "query_string_parameters", "is_base64_encoded")
