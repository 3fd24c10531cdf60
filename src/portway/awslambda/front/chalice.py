"""A Chalice application, as it declares itself to API Gateway: its routes, preflights, keys and authorizers.

`declared` reads that from the application's own tables into plain data, which `gate` works from, in this
process or in another one. `chalice` itself is not imported.

**Threads.** `app.current_request` and `app.lambda_context` are attributes of the one application object,
which is right on Lambda, where there is one call at a time, and shows one client another's request here.
`made_safe` replaces them by attributes of the call's own context (contextvars): every thread, and every
task, sees its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

OWN_TO_A_CALL = ("current_request", "lambda_context")


def is_chalice(app: object) -> bool:
    """Tell whether an object is a Chalice application."""
    return any(cls.__module__ == "chalice.app" and cls.__name__ == "Chalice" for cls in type(app).__mro__)


class _OfTheCall:
    """An attribute whose value belongs to the call that set it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._value: ContextVar[Any] = ContextVar(name)

    def __get__(self, owner: object, kind: type | None = None) -> Any:
        if owner is None:
            return self
        try:
            return self._value.get()
        except LookupError:
            raise AttributeError(
                f"{self._name} belongs to the thread that answers the request: "
                "hand what you need to other threads, or run them in contextvars.copy_context()"
            ) from None

    def __set__(self, owner: object, value: Any) -> None:
        self._value.set(value)


def made_safe(app: Any) -> None:
    """Give a Chalice application attributes of the call, so that many threads may call it. Idempotent."""
    kind = type(app)
    if not isinstance(kind.__dict__.get(OWN_TO_A_CALL[0]), _OfTheCall):
        own = {name: _OfTheCall(name) for name in OWN_TO_A_CALL}
        app.__class__ = type(kind.__name__, (kind,), {"__module__": kind.__module__, **own})


def declared(app: Any) -> dict[str, Any]:
    """Return what a Chalice application declares, as plain data (see `gate.Declared`)."""
    routes = {
        template: {
            method: {
                "cors": None if view.cors is None else view.cors.get_access_control_headers(),
                "key": bool(view.api_key_required),
                "authorizer": _authorizer(view.authorizer),
            }
            for method, view in views.items()
        }
        for template, views in app.routes.items()
    }
    return {"routes": routes, "binary_types": list(app.api.binary_types)}


def functions(app: Any) -> dict[str, Callable[[Any, Any], Any]]:
    """Return the authorizers that are functions of the application, by their names in `declared`."""
    return {_handler(one): one for one in _authorizers(app) if "ChaliceAuthorizer" in _kinds(one)}


def _authorizers(app: Any) -> Iterator[Any]:
    for views in app.routes.values():
        for view in views.values():
            if view.authorizer is not None:
                yield view.authorizer


def _authorizer(authorizer: Any) -> dict[str, Any] | None:
    if authorizer is None:
        return None
    kinds = _kinds(authorizer)
    if "ChaliceAuthorizer" in kinds:
        header = authorizer.config.header or "Authorization"
        return {"kind": "function", "name": _handler(authorizer), "header": header}
    if "IAMAuthorizer" in kinds:
        return {"kind": "iam"}
    if "CognitoUserPoolAuthorizer" in kinds:
        found = authorizer.to_swagger()
        arns = found["x-amazon-apigateway-authorizer"]["providerARNs"]
        header = found["name"] or "Authorization"
        return {"kind": "pools", "header": header, "arns": list(arns), "scopes": list(authorizer.scopes)}
    return {"kind": "other", "name": type(authorizer).__name__}


def _handler(authorizer: Any) -> str:
    """Return the handler setting of an authorizer's own function: Chalice deploys each as one."""
    return f"{authorizer.func.__module__}.{authorizer.func.__name__}"


def _kinds(authorizer: object) -> set[str]:
    return {cls.__name__ for cls in type(authorizer).__mro__}
