"""A Lambda handler as a WSGI application: which front door, and how it is set up."""

from __future__ import annotations

from typing import Any

from portway.awslambda.front.application import HandlerApplication
from portway.awslambda.front.chalice import declared, functions, is_chalice, made_safe
from portway.awslambda.front.door import Door, Kind, auto
from portway.awslambda.front.gate import Gate
from portway.awslambda.front.pools import UserPools
from portway.config.settings import Function
from portway.errors import NotAnApplication, shown

_DOORS: dict[Kind, str] = {
    "rest": "REST API",
    "http": "HTTP API",
    "url": "Function URL",
    "alb": "load balancer",
}


def as_wsgi(
    handler: Any, target: str, name: str, function: Function
) -> tuple[HandlerApplication, str, tuple[str, ...]]:
    """Return the application that serves a handler, what it is, and what to warn of, for people.

    Args:
        handler: `handler(event, context)`, a Chalice application among them.
        target: APP as the user wrote it, for errors.
        name: Where it was found, "site:handler"; the function is called by its last word.
        function: The options.

    Raises:
        NotAnApplication: A Chalice application behind a door that it does not understand.
    """
    chalice = is_chalice(handler)
    kind: Kind = auto(chalice) if function.event == "auto" else function.event
    if chalice and kind != "rest":
        raise NotAnApplication(
            target,
            f"{shown(name)} is a Chalice application, which understands the events of a REST API only",
            "leave --event out, or say --event rest.",
        )
    types = function.binary_types or (tuple(handler.api.binary_types) if chalice else ("*/*",))
    door = Door(kind, function.stage, types, function.multi_value)
    gate = None
    warnings: tuple[str, ...] = ()
    if chalice:
        made_safe(handler)
        pools = UserPools(function.user_pool_keys)
        gate = Gate(declared(handler), door, functions(handler), function.api_keys, pools)
        warnings = gate.unreachable()
    plain = name.rpartition(":")[2].removesuffix("()").rpartition(".")[2]
    application = HandlerApplication(handler, door, plain, function.timeout, gate)
    return application, f"{'Chalice' if chalice else 'Lambda'} ({_DOORS[kind]})", warnings
