"""What an ASGI application sends: any status, fields, pieces, in any order. Only its client may notice."""

from __future__ import annotations

from typing import Any

from fuzz.plan import Plan, planned
from fuzz.serving import exchange, serve_asgi

ALLOWED = ()

plan = planned(b"", binary=True)


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Follow the plan at /fuzzed, answer as every application should at any other path."""
    if scope["path"] != "/fuzzed":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"after"})
        return
    for message in messages(plan):
        await send(message)
    if plan.manner == 0:
        raise ValueError("at the end")


def messages(plan: Plan) -> list[dict[str, Any]]:
    """Return what the plan sends."""
    trailers = plan.manner in (1, 2)
    start = {
        "type": "http.response.start",
        "status": plan.status,
        "headers": plan.fields,
        "trailers": trailers,
    }
    body: list[dict[str, Any]] = [
        {"type": "http.response.body", "body": piece, "more_body": number < len(plan.pieces) - 1}
        for number, piece in enumerate(plan.pieces)
    ]
    sent = [start, *body]
    if plan.hints:
        sent.insert(0, {"type": "http.response.early_hint", "links": [value for _, value in plan.hints]})
    if trailers:
        sent.append({"type": "http.response.trailers", "headers": plan.fields})
    match plan.manner:
        case 3:
            sent.reverse()
        case 4:
            sent += sent
        case 5:
            sent = body
        case 6:
            sent.insert(1, {"type": "http.response.pathsend", "path": __file__})
        case 7:
            sent.insert(1, {"type": "http.response.zerocopysend", "file": 0, "count": 5, "offset": 0})
        case 8:
            sent.insert(1, {"type": "no such message"})
    return sent


ADDRESS, REPORT = serve_asgi(app)


def text(pairs: list[tuple[object, object]]) -> list[tuple[object, object]]:
    """Return fields as the client sees them."""
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in pairs
        if isinstance(name, bytes) and isinstance(value, bytes)
    ]


def one(data: bytes) -> None:
    """Try one plan, for GET or for HEAD."""
    global plan
    plan = planned(data, binary=True)
    method = "HEAD" if data[-1:] == b"H" else "GET"
    links = [("link", value) for _, value in text(plan.hints)]
    exchange(ADDRESS, REPORT, method, [*text(plan.fields), *links])
