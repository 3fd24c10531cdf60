"""What a WSGI application gives: any status, fields, pieces, in any manner. Only its client may notice."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fuzz.plan import Plan, planned
from fuzz.serving import exchange, serve_wsgi

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

ALLOWED = ()

plan = planned(b"", binary=False)


def app(environ: WSGIEnvironment, start_response: Any) -> Any:
    """Follow the plan at /fuzzed, answer as every application should at any other path."""
    if environ["PATH_INFO"] != "/fuzzed":
        start_response("200 OK", [])
        return [b"after"]
    if plan.hints:
        environ["wsgi.early_hints"](plan.hints)
    return follow(plan, start_response)


def follow(plan: Plan, start_response: Any) -> Any:
    """Do what the plan says, in its manner."""
    match plan.manner:
        case 0:
            raise ValueError("before anything")
        case 1:
            return plan.pieces  # and never started
        case 2:
            return generator(plan, start_response)
        case 3:
            start_response("200 OK", [])
            try:
                raise ValueError("handled")
            except ValueError:
                start_response(plan.status, plan.fields, sys.exc_info())
            return plan.pieces
    write = start_response(plan.status, plan.fields)
    if plan.manner == 4:
        for piece in plan.pieces:
            write(piece)
        return []
    if plan.manner == 5:
        return plan.pieces[0] if plan.pieces else None
    if plan.manner == 6:
        return failing(plan)
    return plan.pieces if plan.manner % 2 else iter(plan.pieces)


def generator(plan: Plan, start_response: Any) -> Iterator[Any]:
    """Start when asked for the first piece; start again in the middle."""
    start_response(plan.status, plan.fields)
    for number, piece in enumerate(plan.pieces):
        if number == 3:
            start_response("500 Again", [], None)
        yield piece


def failing(plan: Plan) -> Iterator[Any]:
    """Give the pieces, then fail."""
    yield from plan.pieces
    raise ValueError("after the pieces")


ADDRESS, REPORT = serve_wsgi(app)


def one(data: bytes) -> None:
    """Try one plan, for GET or for HEAD."""
    global plan
    plan = planned(data, binary=False)
    method = "HEAD" if data[-1:] == b"H" else "GET"
    exchange(ADDRESS, REPORT, method, [*plan.fields, *plan.hints])
