"""The same application on AWS Lambda.

    import portway.awslambda
    handler = portway.awslambda.handler(app)          # WSGI or ASGI

or no code at all: `portway.awslambda.main` as the function's handler and the application's name in
the environment variable PORTWAY_APP. Standard library only; a name costs its import when it is used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

    from .adapter import LambdaHandler
    from .invocation import remaining_s
    from .registry import Registry
    from .snapstart import after_restore, before_snapshot
    from .websocket import Poster, Store

    main: LambdaHandler

__all__ = ["after_restore", "before_snapshot", "handler", "main", "on", "remaining_s"]

_ELSEWHERE = {
    "after_restore": "snapstart",
    "before_snapshot": "snapstart",
    "remaining_s": "invocation",
}


def handler(
    app: Any,
    *,
    poster: Poster | None = None,
    store: Store | None = None,
    registry: Registry | None = None,
    **options: Any,
) -> LambdaHandler:
    """Return a Lambda handler for a WSGI or ASGI application.

    On Lambda the application is started up here, in the init phase; elsewhere (the module imported by
    a server or a test) at the first event.

    Args:
        app: The application.
        poster: Sends to the connections of a WebSocket API; boto3 does when it is None.
        store: Remembers the handshakes of a WebSocket API across environments; None does not.
        registry: Functions for events that are no requests; None takes those that `on` has registered.
        options: `Options`, which also come from the environment; an argument wins.

    Raises:
        BadSetting: An option has a value it does not take.
        AppFailed: The application refused to start.
    """
    from .adapter import LambdaHandler
    from .environment import on_lambda
    from .options import read

    made = LambdaHandler(app, read(**options), poster, store, registry)
    if on_lambda():
        made.start()
    return made


def on(kind: str, **match: str) -> Callable[[F], F]:
    """Register the decorated function for events that are no requests; see `registry.Registry.on`."""
    from .registry import registry

    return registry.on(kind, **match)


def __getattr__(name: str) -> Any:
    # `main` is made when Lambda's runtime looks the handler up, which is in the init phase.
    if name == "main":
        return _main()
    module = _ELSEWHERE.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def _main() -> LambdaHandler:
    from .errors import BadSetting
    from .loading import is_function, load
    from .options import read

    options = read()
    if not options.app:
        raise BadSetting("PORTWAY_APP", "", "must name the application as module:attr")
    found = load(options.app, options.factory)
    made = globals()["main"] = found if is_function(found, surely=True) else handler(found)
    return made
