"""A Chalice application behind API Gateway's REST API: its routes, preflights, keys and authorizers.

Chalice declares what API Gateway is to do, so this does it from the application's own tables. `chalice`
itself is not imported: everything is read from the application object.

**Threads.** `app.current_request` and `app.lambda_context` are attributes of the one application object,
which is right on Lambda, where there is one call at a time, and shows one client another's request here.
`made_safe` replaces them by attributes of the call's own context (contextvars): every thread, and every
task, sees its own.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from .application import Admitted
from .authorizers import Refused, ask, method_arns
from .context import Context
from .door import Door
from .pools import UserPools, issuer_of
from .request import HTTPRequest, Match, Stamp
from .response import Response, id_field, refusal
from .routes import Routes

if TYPE_CHECKING:
    from .application import Report

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


class ChaliceGate:
    """The routes of a Chalice application. Reads the application's tables when it is made.

    Args:
        app: The application.
        door: The REST API before it.
        api_keys: The keys that routes with `api_key_required` take.
        pools: What verifies the tokens of user pools.
    """

    def __init__(
        self, app: Any, door: Door, api_keys: Sequence[str] = (), pools: UserPools | None = None
    ) -> None:
        self._door = door
        self._methods: dict[str, dict[str, Any]] = {path: dict(views) for path, views in app.routes.items()}
        self._routes = Routes(self._methods)
        self._api_keys = [key.encode() for key in api_keys]
        self._pools = pools or UserPools()

    def unreachable(self) -> tuple[str, ...]:
        """Return what there is to warn of: each route that refuses everybody here, and why."""
        return tuple(
            f"{method} {path} refuses everybody here: {why}"
            for path, views in self._methods.items()
            for method, view in views.items()
            if (why := _cannot_ask(view.authorizer))
        )

    def admit(
        self, request: HTTPRequest, stamp: Stamp, context: Context, report: Report
    ) -> Admitted | Response:
        """Return how a request reaches the function, or API Gateway's own answer (see `Gate`)."""
        match = self._routes.match(self._door.within(request.path) or "")
        if match is None:
            return refusal(self._door, "no-route", stamp.request_id)
        views = self._methods[match.resource]
        view = views.get(request.method)
        if view is None:
            cors = next((entry.cors for entry in views.values() if entry.cors is not None), None)
            if request.method != "OPTIONS" or cors is None:
                return refusal(self._door, "no-route", stamp.request_id)
            return self._preflight(views, cors, stamp)
        try:
            self._check_key(view, request)
            return Admitted(match, self._authorized(view.authorizer, request, match, context, report))
        except Refused as refused:
            if refused.text:
                report(f"{request.method} {match.resource}: {refused.text}")
            return refusal(self._door, refused.why, stamp.request_id)

    def _preflight(self, views: dict[str, Any], cors: Any, stamp: Stamp) -> Response:
        """Return what the mock integration answers that Chalice has API Gateway put before its routes."""
        methods = [method for method, entry in views.items() if entry.cors is not None]
        fields = [("Content-Type", "application/json")]
        fields.append(("Access-Control-Allow-Methods", ",".join([*methods, "OPTIONS"])))
        fields += cors.get_access_control_headers().items()
        return Response(200, "", [*fields, id_field(self._door, stamp.request_id)], b"")

    def _check_key(self, view: Any, request: HTTPRequest) -> None:
        if view.api_key_required:
            given = request.value("x-api-key").encode()
            if not any(hmac.compare_digest(given, key) for key in self._api_keys):
                raise Refused("no-key")

    def _authorized(
        self, authorizer: Any, request: HTTPRequest, match: Match, context: Context, report: Report
    ) -> dict[str, Any] | None:
        if authorizer is None:
            return None
        kinds = _kinds(authorizer)
        if "ChaliceAuthorizer" in kinds:
            arns = method_arns(self._door, request.method, match)
            header = authorizer.config.header or "Authorization"
            return ask(authorizer, header, request, arns, context)
        if "IAMAuthorizer" in kinds:
            signed = request.value("authorization").startswith("AWS4-HMAC-SHA256 ")
            raise Refused(
                "bad-signature" if signed else "unsigned", "IAM's signatures cannot be verified here"
            )
        if "CognitoUserPoolAuthorizer" in kinds:
            header, arns = _user_pools(authorizer)
            scopes = frozenset(authorizer.scopes)

            def tell(text: str) -> None:
                report(f"{request.method} {match.resource}: {text}")

            return self._pools.ask(request.value(header.lower()), arns, scopes, tell)
        raise Refused("authorizer-failed", _cannot_ask(authorizer))


def _kinds(authorizer: object) -> set[str]:
    return {cls.__name__ for cls in type(authorizer).__mro__}


def _user_pools(authorizer: Any) -> tuple[str, tuple[str, ...]]:
    """Return the field that carries the token, and the ARNs of the user pools."""
    declared = authorizer.to_swagger()
    arns = declared["x-amazon-apigateway-authorizer"]["providerARNs"]
    return declared["name"] or "Authorization", tuple(arns)


def _cannot_ask(authorizer: Any) -> str:
    """Return why an authorizer cannot be asked on this server, "" when it can."""
    kinds = set() if authorizer is None else _kinds(authorizer)
    if authorizer is None or "ChaliceAuthorizer" in kinds:
        return ""
    if "IAMAuthorizer" in kinds:
        return "IAM's signatures cannot be verified"
    if "CognitoUserPoolAuthorizer" in kinds:
        return "" if any(map(issuer_of, _user_pools(authorizer)[1])) else "its authorizer names no user pool"
    return f"an authorizer of type {type(authorizer).__name__} cannot be asked"
