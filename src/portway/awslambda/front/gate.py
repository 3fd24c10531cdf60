"""A REST API's own routes, preflights, keys and authorizers, from what its application declares.

Nothing of the application is needed here but the functions that are its authorizers, and how those are
called is whoever makes the gate's business.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .authorizers import Refused, ask, method_arns
from .context import Context
from .door import Door
from .pools import UserPools, issuer_of
from .request import HTTPRequest, Match, Stamp
from .response import Response, id_field, refusal
from .routes import Routes

Declared = Mapping[str, Any]
"""Plain data, as JSON carries it:

    routes          template → method → view
      cors            the fields of a preflight's answer, or null
      key             whether an API key is required
      authorizer      null, or an object with its kind
        function        name, header: a function of the application, asked with the token in that field
        pools           header, arns, scopes: user pools of Cognito
        iam             signatures, which cannot be verified here
        other           name: what else there is, which cannot be asked here
    binary_types    the API's binary media types
"""

Functions = Mapping[str, Callable[[Any, Any], Any]]
Report = Callable[[str], object]


class Admitted(NamedTuple):
    """A request that may reach the function.

    Attributes:
        match: The resource that takes it.
        authorizer: What the authorizer found out, or None.
    """

    match: Match
    authorizer: dict[str, Any] | None


class Gate:
    """The routes that an application declares. Any thread may ask.

    Args:
        declared: What it declares.
        door: The REST API before it.
        functions: Its authorizers, by name.
        api_keys: The keys that routes with `key` take.
        pools: What verifies the tokens of user pools.
    """

    def __init__(
        self,
        declared: Declared,
        door: Door,
        functions: Functions,
        api_keys: Sequence[str] = (),
        pools: UserPools | None = None,
    ) -> None:
        self._door = door
        self._views: dict[str, dict[str, Any]] = declared["routes"]
        self._routes = Routes(self._views)
        self._functions = functions
        self._api_keys = [key.encode() for key in api_keys]
        self._pools = pools or UserPools()

    def unreachable(self) -> tuple[str, ...]:
        """Return what there is to warn of: each route that refuses everybody here, and why."""
        return tuple(
            f"{method} {path} refuses everybody here: {why}"
            for path, views in self._views.items()
            for method, view in views.items()
            if (why := _cannot_ask(view["authorizer"]))
        )

    def admit(
        self, request: HTTPRequest, stamp: Stamp, context: Context | None, report: Report
    ) -> Admitted | Response:
        """Return how a request reaches the function, or API Gateway's own answer.

        Args:
            request: The request.
            stamp: Its moment and ids.
            context: The context object for an authorizer of this process.
            report: Takes what goes wrong, for the error log.
        """
        match = self._routes.match(self._door.within(request.path) or "")
        if match is None:
            return refusal(self._door, "no-route", stamp.request_id)
        views = self._views[match.resource]
        view = views.get(request.method)
        if view is None:
            cors = next((entry["cors"] for entry in views.values() if entry["cors"] is not None), None)
            if request.method != "OPTIONS" or cors is None:
                return refusal(self._door, "no-route", stamp.request_id)
            return self._preflight(views, cors, stamp)

        def tell(text: str) -> None:
            report(f"{request.method} {match.resource}: {text}")

        try:
            self._check_key(view, request)
            authorizer = view["authorizer"]
            found = authorizer and self._authorized(authorizer, request, match, context, tell)
            return Admitted(match, found)
        except Refused as refused:
            if refused.text:
                tell(refused.text)
            return refusal(self._door, refused.why, stamp.request_id)

    def _preflight(self, views: dict[str, Any], cors: dict[str, str], stamp: Stamp) -> Response:
        """Return what the mock integration answers that Chalice has API Gateway put before its routes."""
        methods = [method for method, entry in views.items() if entry["cors"] is not None]
        fields = [("Content-Type", "application/json")]
        fields.append(("Access-Control-Allow-Methods", ",".join([*methods, "OPTIONS"])))
        fields += cors.items()
        return Response(200, "", [*fields, id_field(self._door, stamp.request_id)], b"")

    def _check_key(self, view: dict[str, Any], request: HTTPRequest) -> None:
        if view["key"]:
            given = request.value("x-api-key").encode()
            if not any(hmac.compare_digest(given, key) for key in self._api_keys):
                raise Refused("no-key")

    def _authorized(
        self,
        authorizer: dict[str, Any],
        request: HTTPRequest,
        match: Match,
        context: Context | None,
        tell: Callable[[str], object],
    ) -> dict[str, Any]:
        match authorizer["kind"]:
            case "function":
                function = self._functions[authorizer["name"]]
                arns = method_arns(self._door, request.method, match)
                return ask(function, authorizer["header"], request, arns, context)
            case "pools":
                token = request.value(authorizer["header"].lower())
                return self._pools.ask(token, authorizer["arns"], frozenset(authorizer["scopes"]), tell)
            case "iam":
                signed = request.value("authorization").startswith("AWS4-HMAC-SHA256 ")
                raise Refused(
                    "bad-signature" if signed else "unsigned", "IAM's signatures cannot be verified here"
                )
        raise Refused("authorizer-failed", _cannot_ask(authorizer))


def _cannot_ask(authorizer: dict[str, Any] | None) -> str:
    """Return why an authorizer cannot be asked here, "" when it can."""
    match authorizer:
        case None | {"kind": "function"}:
            return ""
        case {"kind": "iam"}:
            return "IAM's signatures cannot be verified"
        case {"kind": "pools", "arns": arns}:
            return "" if any(map(issuer_of, arns)) else "its authorizer names no user pool"
        case _:
            return f"an authorizer of type {authorizer['name']} cannot be asked"
