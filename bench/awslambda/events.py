"""Microseconds per event: Portway and its peers in turns, compared only within the same round."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from importlib import import_module
from statistics import median
from typing import Any

from bench.awslambda.event import EVENT, Context, asgi, wsgi

CALLS = 100
Handler = Callable[[Any, Any], Any]


def handlers() -> dict[str, Handler]:
    """Return what is measured, by name."""
    from portway.awslambda import handler

    make_lambda_handler: Any = import_module("apig_wsgi").make_lambda_handler
    mangum: Any = import_module("mangum").Mangum
    logging.getLogger("mangum").setLevel(logging.ERROR)
    found: dict[str, Handler] = {
        "wsgi apig-wsgi": make_lambda_handler(wsgi),
        "wsgi portway": handler(wsgi),
        "asgi portway": handler(asgi, lifespan="off"),
        "asgi+lifespan portway": handler(asgi),
    }
    for one in found.values():
        one(EVENT, Context())
    asyncio.set_event_loop(asyncio.new_event_loop())  # Mangum takes the thread's own
    found["asgi mangum"] = mangum(asgi, lifespan="off")
    found["asgi+lifespan mangum"] = mangum(asgi)
    return found


def measured(rounds: int) -> dict[str, list[float]]:
    """Return the microseconds per event of each handler in each round."""
    context = Context()
    found: dict[str, list[float]] = {}
    for one in (ready := handlers()).values():
        for _ in range(3 * CALLS):
            one(EVENT, context)
    for _ in range(rounds):
        for name, one in ready.items():
            started = time.perf_counter()
            for _ in range(CALLS):
                one(EVENT, context)
            found.setdefault(name, []).append((time.perf_counter() - started) / CALLS * 1e6)
    return found


def ratio(found: dict[str, list[float]], one: str, other: str) -> float:
    """Return the median over the rounds of one's time divided by the other's."""
    return median(a / b for a, b in zip(found[one], found[other], strict=True))
