"""API Gateway WebSocket API: three kinds of event for one connection.

Only CONNECT has the handshake's header fields and query. The URL has no path of its own: what follows
the stage is part of the address, so the application's path is an option. An answer to CONNECT decides
the handshake; answers to the others go nowhere.
"""

from __future__ import annotations

from .paths import encoded_query
from .request import Request, multiple, query_pairs, scheme_of, server_of, single
from .rest import user_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .request import Event

NAME = "websocket"


def kind_of(event: Event) -> str:
    """Return "CONNECT", "MESSAGE" or "DISCONNECT"."""
    context = event["requestContext"]
    kind = context.get("eventType")
    if kind in ("CONNECT", "MESSAGE", "DISCONNECT"):
        return str(kind)
    return {"$connect": "CONNECT", "$disconnect": "DISCONNECT"}.get(context.get("routeKey"), "MESSAGE")


def connection_id(event: Event) -> str:
    """Return the connection's id."""
    return str(event["requestContext"]["connectionId"])


def endpoint(event: Event, region: str) -> str:
    """Return the URL of the management API that sends to this connection.

    Args:
        event: Any event of the connection.
        region: The function's region; behind a custom domain the event does not tell it.
    """
    context = event["requestContext"]
    domain, stage = context.get("domainName") or "", context.get("stage") or ""
    if ".execute-api." not in domain and context.get("apiId") and region:
        domain = f"{context['apiId']}.execute-api.{region}.amazonaws.com"
    return f"https://{domain}/{stage}"


def handshake(event: Event, path: str, root_path: str | None) -> Request:
    """Return the handshake's request.

    Args:
        event: The CONNECT event; of another kind, what is missing in it is missing in the request.
        path: The path the application is to see.
        root_path: Where the application is mounted, when the user says so; None takes the stage.
    """
    context = event["requestContext"]
    multi = event.get("multiValueHeaders")
    fields, known = multiple(multi) if multi else single(event.get("headers"))
    scheme = scheme_of(known.get("x-forwarded-proto", ""))
    domain = context.get("domainName") or "localhost"
    host, port = server_of(known.get("host") or domain, known.get("x-forwarded-port", ""), scheme)
    stage = f"/{context['stage']}" if context.get("stage") and ".execute-api." in domain else ""
    return Request(
        NAME,
        event,
        "GET",
        stage if root_path is None else root_path,
        path,
        None,
        encoded_query(query_pairs(NAME, event)),
        fields,
        known,
        b"",
        (context.get("identity") or {}).get("sourceIp") or "",
        host,
        port,
        "ws" if scheme == "http" else "wss",
        "1.1",
        user_of(context),
    )
