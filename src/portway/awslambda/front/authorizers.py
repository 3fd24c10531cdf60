"""The authorizers that stand before a route, asked as API Gateway asks them.

    a function of the application    called with the TOKEN event; its IAM policy is evaluated
    Cognito                          the token is verified with the user pool's keys (`pools`, `tokens`)
    IAM, a function elsewhere        cannot be asked here: refused, and the log says so when the server starts

What cannot be asked is refused. Letting it through, as development servers do, would open on this server
what is closed on AWS.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from ..events.paths import filled
from .building import REST_STAGE
from .door import Door
from .policy import BadPolicy, verdict
from .request import HTTPRequest, Match
from .response import Refusal


class Refused(Exception):
    """The request may not go on.

    Attributes:
        why: The door's answer.
        text: What there is to say in the log, or "".
    """

    def __init__(self, why: Refusal, text: str = "") -> None:
        super().__init__(text)
        self.why: Refusal = why
        self.text = text


class AskedElsewhere(Exception):
    """An authorizer that runs in another process failed there, and its own log says how."""


def method_arns(door: Door, method: str, match: Match) -> tuple[str, ...]:
    """Return the ARNs by which a policy may name a call; the first is the one that the authorizer is told.

    Made from the resource, not from the path, and with the parameters both as sent and decoded: no spelling
    of a path (`/%61dmin`, `/admin/`) gets around a policy that is about `/admin`.
    """
    stage = door.stage or REST_STAGE
    base = f"arn:aws:execute-api:{door.region}:{door.account}:{door.api_id}/{stage}/{method}"
    sent = filled(match.resource, match.parameters) or match.resource
    plain = filled(match.resource, {name: unquote(value) for name, value in match.parameters.items()})
    return tuple(dict.fromkeys((base + sent, base + (plain or sent))))


def token_event(token: str, arn: str) -> dict[str, str]:
    """Return the event of a TOKEN authorizer."""
    return {"type": "TOKEN", "authorizationToken": token, "methodArn": arn}


def ask(
    authorizer: Callable[[Any, Any], Any],
    header: str,
    request: HTTPRequest,
    arns: tuple[str, ...],
    context: object,
) -> dict[str, Any]:
    """Return `requestContext.authorizer` of a request that a TOKEN authorizer lets through.

    Args:
        authorizer: `authorizer(event, context)`.
        header: The field that carries the token.
        request: The request.
        arns: What is to be called (`method_arns`).
        context: The context object for the authorizer.

    Raises:
        Refused: It does not.
    """
    token = request.value(header.lower())
    if not token:
        raise Refused("unauthorized")
    try:
        answer = authorizer(token_event(token, arns[0]), context)
    except AskedElsewhere as error:
        raise Refused("authorizer-failed", f"the authorizer failed: {error}") from None
    except BaseException as error:
        if type(error) is Exception and str(error) == "Unauthorized":  # how a function says 401
            raise Refused("unauthorized") from None
        raise Refused("authorizer-failed", f"the authorizer raised\n{traceback.format_exc()}") from None
    return granted(answer, arns)


def granted(answer: object, arns: tuple[str, ...]) -> dict[str, Any]:
    """Return `requestContext.authorizer` when an authorizer's answer allows the call.

    Raises:
        Refused: It does not, or is none.
    """
    if not isinstance(answer, dict) or not isinstance(answer.get("principalId"), str):
        raise Refused("authorizer-failed", "the authorizer's answer has no principalId")
    try:
        said = {verdict(answer.get("policyDocument"), arn) for arn in arns}
    except BadPolicy as error:
        raise Refused("authorizer-failed", f"the authorizer's policy: {error}") from None
    if said != {"allow"}:
        raise Refused("denied" if "deny" in said else "not-allowed")
    context = answer.get("context")
    if context is None:
        context = {}
    if not isinstance(context, dict):
        raise Refused("authorizer-failed", "the authorizer's context is not an object")
    return {**_texts(context), "principalId": answer["principalId"]}


def _texts(context: dict[Any, Any]) -> dict[str, str]:
    """Return the values of an authorizer's context as text; API Gateway takes nothing that is nested."""
    texts: dict[str, str] = {}
    for name, value in context.items():
        if isinstance(value, bool):
            texts[str(name)] = "true" if value else "false"
        elif isinstance(value, str | int | float):
            texts[str(name)] = str(value)
        elif value is not None:
            raise Refused("authorizer-failed", f"the authorizer's context has {type(value).__name__} values")
    return texts
