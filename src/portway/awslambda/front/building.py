"""A request as the event that a front door hands to its function.

Written from AWS's documentation and from events that were captured live. Nothing here reads a clock or
makes an id: those come as a `Stamp`. What each service loses on the way is lost here too;
docs/lambda-fidelity.md is the list in words.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus, unquote_to_bytes

from .bodies import event_body
from .door import Door
from .request import HTTPRequest, Match, Stamp, forwarded, listed

if TYPE_CHECKING:
    from ..events.request import Event

MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_TITLED = {"user-agent": "User-Agent", "x-amzn-trace-id": "X-Amzn-Trace-Id"}
"""Fields whose names a REST API writes its own way; it leaves the client's other names as they are."""


def build_event(
    door: Door,
    request: HTTPRequest,
    stamp: Stamp,
    match: Match | None = None,
    authorizer: dict[str, Any] | None = None,
) -> Event:
    """Return the event for one request.

    Args:
        door: The front door.
        request: The request; its path is below the door's stage (`Door.within`).
        stamp: Moment and ids.
        match: The resource of a REST API that takes it; None for an API of `/` and `/{proxy+}`.
        authorizer: What an authorizer found out, as it stands in `requestContext`; None without one.

    Raises:
        LookupError: The path is not below the door's stage.
    """
    inner = door.within(request.path)
    if inner is None:
        raise LookupError(f"{request.path!r} is not below the stage {door.stage!r}")
    if door.kind == "rest":
        return _rest(door, request, stamp, match or _greedy(inner), inner, authorizer)
    if door.kind == "alb":
        return _alb(door, request, stamp)
    return _payload_2(door, request, stamp, authorizer)


def decoded(path: str) -> str:
    """Return a path percent decoded once; what is not UTF-8 becomes U+FFFD, as JSON's writer has it."""
    return unquote_to_bytes(path).decode("utf-8", "replace") if "%" in path else path


@lru_cache(maxsize=4)
def common_log_time(second: int) -> str:
    """Return "10/Jul/2026:19:19:04 +0000", with English months whatever the locale."""
    at = time.gmtime(second)
    return (
        f"{at.tm_mday:02}/{MONTHS[at.tm_mon - 1]}/{at.tm_year}:"
        f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} +0000"
    )


def query_pairs(query: str) -> list[tuple[str, str]]:
    """Return names and values as they stand in a query; one without "=" has the value ""."""
    if not query:
        return []
    return [(name, value) for item in query.split("&") if item for name, _, value in (item.partition("="),)]


def _decoded_query(query: str) -> dict[str, list[str]]:
    if not query:
        return {}
    return listed([(unquote_plus(name), unquote_plus(value)) for name, value in query_pairs(query)])


def _host_name(door: Door, request: HTTPRequest) -> str:
    """Return `domainName`: the door's own with a stage in the path, else the custom domain, which is Host."""
    if door.stage or door.kind == "url":
        return door.domain
    host = request.value("host")
    if host[:1] == "[":
        return host.partition("]")[0][1:]
    return host.partition(":")[0] or door.domain


def _greedy(inner: str) -> Match:
    return Match("/{proxy+}", {"proxy": inner[1:]}) if inner != "/" else Match("/", {})


def _rest(
    door: Door,
    request: HTTPRequest,
    stamp: Stamp,
    match: Match,
    inner: str,
    authorizer: dict[str, Any] | None,
) -> Event:
    # A REST API tells no content-length.
    fields = listed(
        [
            (_TITLED.get(name.lower(), name), value)
            for name, value in forwarded(request, stamp)
            if name != "Content-Length"
        ]
    )
    query = _decoded_query(request.query)
    body, encoded = event_body(door, request)
    domain = _host_name(door, request)
    return {
        "resource": match.resource,
        "path": inner,
        "httpMethod": request.method,
        "headers": {name: values[-1] for name, values in fields.items()},
        "multiValueHeaders": fields,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": match.parameters or None,
        "stageVariables": None,
        "requestContext": {
            "accountId": door.account,
            "apiId": door.api_id,
            "authorizer": authorizer,
            "domainName": domain,
            "domainPrefix": domain.partition(".")[0],
            "extendedRequestId": stamp.request_id,
            "httpMethod": request.method,
            "identity": {
                "accessKey": None,
                "accountId": None,
                "apiKey": None,
                "apiKeyId": None,
                "caller": None,
                "clientCert": None,
                "cognitoAuthenticationProvider": None,
                "cognitoAuthenticationType": None,
                "cognitoIdentityId": None,
                "cognitoIdentityPoolId": None,
                "principalOrgId": None,
                "sourceIp": request.client,
                "user": None,
                "userAgent": fields["User-Agent"][-1] if "User-Agent" in fields else None,
                "userArn": None,
            },
            "path": request.path,
            "protocol": request.protocol,
            "requestId": stamp.request_id,
            "requestTime": common_log_time(int(stamp.time_s)),
            "requestTimeEpoch": int(stamp.time_s * 1000),
            "resourceId": "local",
            "resourcePath": match.resource,
            "stage": door.stage or REST_STAGE,
        },
        "body": body,
        "isBase64Encoded": encoded,
    }


REST_STAGE = "api"
"""Name of a REST API's stage when it is not in the path; every REST API has one."""


def _payload_2(door: Door, request: HTTPRequest, stamp: Stamp, authorizer: dict[str, Any] | None) -> Event:
    is_url = door.kind == "url"
    fields = listed([(name.lower(), value) for name, value in forwarded(request, stamp)])
    cookies = [part.strip() for value in fields.get("cookie", ()) for part in value.split(";")]
    if not is_url:
        fields.pop("cookie", None)
    query = _decoded_query(request.query)
    body, encoded = event_body(door, request)
    path = decoded(request.path)
    domain = _host_name(door, request)
    context: Event = {
        "accountId": "anonymous" if is_url else door.account,
        "apiId": door.api_id,
        "domainName": domain,
        "domainPrefix": domain.partition(".")[0],
        "http": {
            "method": request.method,
            "path": path.rstrip("/") or "/",
            "protocol": request.protocol,
            "sourceIp": request.client,
            "userAgent": fields["user-agent"][-1] if "user-agent" in fields else "",
        },
        "requestId": stamp.request_id,
        "routeKey": "$default",
        "stage": "$default" if is_url or not door.stage else door.stage,
        "time": common_log_time(int(stamp.time_s)),
        "timeEpoch": int(stamp.time_s * 1000),
    }
    if authorizer is not None:
        context["authorizer"] = authorizer
    event: Event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": request.path if is_url else path,
        "rawQueryString": request.query,
        "headers": {
            name: values[0] if len(values) == 1 else ("; " if name == "cookie" else ",").join(values)
            for name, values in fields.items()
        },
        "requestContext": context,
        "isBase64Encoded": encoded,
    }
    if any(cookies):
        event["cookies"] = [cookie for cookie in cookies if cookie]
    if query:
        event["queryStringParameters"] = {name: ",".join(values) for name, values in query.items()}
    if body is not None:
        event["body"] = body
    return event


def _alb(door: Door, request: HTTPRequest, stamp: Stamp) -> Event:
    fields = listed([(name.lower(), value) for name, value in forwarded(request, stamp)])
    # A load balancer does not decode the query either, but takes it apart.
    query = listed(query_pairs(request.query))
    body, encoded = event_body(door, request)
    group = f"arn:aws:elasticloadbalancing:{door.region}:{door.account}:targetgroup/{door.api_id}/6d0ecf83"
    event: Event = {
        "requestContext": {"elb": {"targetGroupArn": group}},
        "httpMethod": request.method,
        "path": request.path,
    }
    if door.multi_value:
        event["multiValueQueryStringParameters"] = query
        event["multiValueHeaders"] = fields
    else:
        event["queryStringParameters"] = {name: values[-1] for name, values in query.items()}
        event["headers"] = {name: values[-1] for name, values in fields.items()}
    event["body"] = body or ""
    event["isBase64Encoded"] = encoded
    return event
