"""Tell event sources apart by shape, and hand each event to its own.

A source's file is imported when the first event of its kind arrives: a function has one front door,
and a cold start should not pay for the others.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .source import Source

sources: dict[str, Source] = {}
"""Those that have been used, by name; `source_of` fills it."""


def detect(event: Any) -> str:
    """Return the name of the source an event comes from, or "" when it is none of the front doors.

    Looks at shapes only; a field that is missing or of the wrong type is the source's own business.
    """
    if not isinstance(event, dict):
        return ""
    context = event.get("requestContext")
    if isinstance(context, dict):
        if "http" in context:
            # Behind CloudFront the domain is still the URL's own; only an emulator leaves it out.
            domain = context.get("domainName")
            at_url = isinstance(domain, str) and ".lambda-url." in domain
            return "function-url" if at_url or context.get("accountId") == "anonymous" else "http-api"
        if "elb" in context:
            return "alb"
        if "connectionId" in context:
            return "websocket"
        if "serviceNetworkArn" in context or "serviceArn" in context:
            return "vpc-lattice"
    if "httpMethod" in event and "path" in event:
        if event.get("version") != "1.0" or (isinstance(context, dict) and context.get("resourceId")):
            return (
                "rest-api"  # a REST API has no version; emulators give it one, but no HTTP API has resources
            )
        return "http-api-v1"
    if "raw_path" in event and "method" in event:
        return "vpc-lattice-v1"
    return "lambda-edge" if _is_edge(event.get("Records")) else ""


def _is_edge(records: Any) -> bool:
    """Tell a request event of Lambda@Edge from the other events that are lists of records."""
    if not (isinstance(records, list) and records and isinstance(records[0], dict)):
        return False
    cf = records[0].get("cf")
    # A response event has both, and asks for the origin's response to be changed, not for an answer.
    return isinstance(cf, dict) and isinstance(cf.get("request"), dict) and "response" not in cf


def source_of(name: str) -> Source:
    """Return the one source of that name.

    Args:
        name: What `detect` returned, except "" and "websocket".
    """
    found = sources.get(name)
    if found is None:
        found = sources[name] = _load(name)
    return found


def _load(name: str) -> Source:
    # Import statements rather than names looked up: the type checker and a packager's tree walk see them.
    match name:
        case "http-api":
            from .http_api import HTTPAPI

            return HTTPAPI()
        case "function-url":
            from .function_url import FunctionURL

            return FunctionURL()
        case "rest-api":
            from .rest import RestAPI

            return RestAPI()
        case "http-api-v1":
            from .rest import HTTPAPIv1

            return HTTPAPIv1()
        case "alb":
            from .alb import LoadBalancer

            return LoadBalancer()
        case "lambda-edge":
            from .edge import Edge

            return Edge()
        case "vpc-lattice":
            from .lattice import Lattice

            return Lattice()
        case "vpc-lattice-v1":
            from .lattice import LatticeV1

            return LatticeV1()
    raise LookupError(name)
