"""What the client gets, and what a front door answers in its own name.

Bodies and statuses are those of AWS's documentation; where it is silent, those that its users report.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from .door import Door

Refusal = Literal[
    "no-route", "no-stage", "too-large", "failed", "malformed", "timeout", "busy", "unauthorized", "expired",
    "denied", "not-allowed", "authorizer-failed", "no-key", "unsigned", "bad-signature",
]  # fmt: skip
"""Why a door answers itself: no such resource; not below the stage; a body over the limit; the function
raised; its answer is not one; it took too long; no room to run it; no or a bad token; a token
that was good once; the policy denies it;
the policy does not allow it; the authorizer failed; no API key; not signed where IAM is asked; signed, which
cannot be verified here."""

Words = tuple[int, str]

_REST: dict[Refusal, tuple[int, str, str]] = {
    "no-route": (403, '{"message":"Missing Authentication Token"}', "MissingAuthenticationTokenException"),
    "no-stage": (403, '{"message":"Forbidden"}', "ForbiddenException"),
    "too-large": (413, '{"message":"Request Too Long"}', "RequestTooLargeException"),
    "failed": (502, '{"message": "Internal server error"}', "InternalServerErrorException"),
    "malformed": (502, '{"message": "Internal server error"}', "InternalServerErrorException"),
    "timeout": (504, '{"message": "Endpoint request timed out"}', "InternalServerErrorException"),
    "busy": (500, '{"message": "Internal server error"}', "InternalServerErrorException"),
    "unauthorized": (401, '{"message":"Unauthorized"}', "UnauthorizedException"),
    "expired": (401, '{"message":"The incoming token has expired"}', "UnauthorizedException"),
    "denied": (
        403,
        '{"Message":"User is not authorized to access this resource with an explicit deny"}',
        "AccessDeniedException",
    ),
    "not-allowed": (
        403,
        '{"Message":"User is not authorized to access this resource"}',
        "AccessDeniedException",
    ),
    "authorizer-failed": (500, '{"message":null}', "AuthorizerConfigurationException"),
    "no-key": (403, '{"message":"Forbidden"}', "ForbiddenException"),
    "unsigned": (403, '{"message":"Missing Authentication Token"}', "MissingAuthenticationTokenException"),
    "bad-signature": (
        403,
        '{"message":"The security token included in the request is invalid."}',
        "UnrecognizedClientException",
    ),
}
_HTTP: dict[Refusal, Words] = {
    "no-route": (404, '{"message":"Not Found"}'),
    "no-stage": (404, '{"message":"Not Found"}'),
    "too-large": (413, '{"message":"Request Entity Too Large"}'),
    "timeout": (504, '{"message":"Gateway Timeout"}'),
    "busy": (503, '{"message":"Service Unavailable"}'),
    "unauthorized": (401, '{"message":"Unauthorized"}'),
    "denied": (403, '{"message":"Forbidden"}'),
}
_URL: dict[Refusal, Words] = {
    "too-large": (
        413,
        '{"Message":"Request must be smaller than 6291456 bytes for the InvokeFunction operation"}',
    ),
    "timeout": (504, "Gateway Timeout"),
    "busy": (429, '{"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}'),
    "unauthorized": (403, '{"Message":"Forbidden"}'),
    "denied": (403, '{"Message":"Forbidden"}'),
}
# A load balancer answers 502 also when the function does not answer in time.
_ALB: dict[Refusal, Words] = {
    "too-large": (413, "Request Entity Too Large"),
    "busy": (502, "Bad Gateway"),
}


class Response(NamedTuple):
    """What the client gets.

    Attributes:
        status: From 200 to 599.
        reason: The reason phrase that the function chose (load balancers only), or "".
        fields: Field lines: names are tokens, values have no line breaks and are text; the connection's own
            and Content-Length are not among them, except the Content-Length of an answer to HEAD.
        body: The whole body.
    """

    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes


def refusal(door: Door, why: Refusal, request_id: str = "") -> Response:
    """Return the door's own answer.

    Args:
        door: The front door.
        why: What it refuses, or what went wrong behind it.
        request_id: The door's id of the request, for the field that carries it.
    """
    if door.kind == "alb":
        return _page(*_ALB.get(why, (502, "Bad Gateway")))
    error_type = ""
    if door.kind == "rest":
        status, text, error_type = _REST[why]
    elif door.kind == "http":
        status, text = _HTTP.get(why, (500, '{"message":"Internal Server Error"}'))
    else:
        status, text = _URL.get(why, (502, "Internal Server Error"))
    fields = [("Content-Type", "application/json")]
    if error_type:
        fields.append(("x-amzn-ErrorType", error_type))
    if request_id:
        fields.append(id_field(door, request_id))
    return Response(status, "", fields, text.encode())


def id_field(door: Door, request_id: str) -> tuple[str, str]:
    """Return the field by which the door tells the client its request id."""
    return ("Apigw-Requestid" if door.kind == "http" else "x-amzn-RequestId"), request_id


def _page(status: int, reason: str) -> Response:
    """Return a load balancer's own page."""
    title = f"{status} {reason}"
    text = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
    return Response(status, "", [("Content-Type", "text/html")], text.encode())
