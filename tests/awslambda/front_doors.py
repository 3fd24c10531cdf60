"""AWS's front doors as they treat a request: what they deliver to a function and take back from it.

Written from AWS's documentation and from what live captures show. Each loses what the service loses
(decoded paths, joined fields, the order of a query); `docs/lambda-fidelity.md` is the list in words.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus, unquote_to_bytes

Event = dict[str, Any]
TEXT_TYPES = ("text/", "application/json", "application/javascript", "application/xml")


@dataclass(frozen=True)
class Wire:
    """A request as the client wrote it.

    Attributes:
        path: Percent encoded, "/…".
        query: Without "?".
        fields: Header fields besides those a service adds, in order.
    """

    method: str = "GET"
    path: str = "/"
    query: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    host: str = "example.com"
    client: str = "203.0.113.7"
    scheme: str = "https"

    @property
    def port(self) -> str:
        """The port of the scheme, as X-Forwarded-Port has it."""
        return "443" if self.scheme == "https" else "80"


@dataclass(frozen=True)
class Answer:
    """What the client gets back."""

    status: int
    fields: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def values(self, name: str) -> list[str]:
        """Return the values of a field by its lower-case name."""
        return [value for key, value in self.fields if key.lower() == name]


def body_of(wire: Wire, *, always_base64: bool = False) -> tuple[str | None, bool]:
    """Return body and isBase64Encoded: text travels as it is when its type says so and it is UTF-8."""
    if not wire.body:
        return None, False
    kind = next((value for name, value in wire.fields if name.lower() == "content-type"), "")
    encoded = any(name.lower() == "content-encoding" for name, _ in wire.fields)
    if kind.lower().startswith(TEXT_TYPES) and not encoded and not always_base64:
        try:
            return wire.body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(wire.body).decode(), True


def decoded_once(path: str) -> str:
    """Return a path percent decoded once, the way a service writes it into JSON."""
    return unquote_to_bytes(path).decode("utf-8", "replace")


def pairs_of(query: str) -> list[tuple[str, str]]:
    """Return names and values of a query as they stand in it."""
    return [(name, value) for item in query.split("&") if item for name, _, value in [item.partition("=")]]


def _lists(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _forwarded(wire: Wire) -> list[tuple[str, str]]:
    before = [value for name, value in wire.fields if name.lower() == "x-forwarded-for"]
    own = [(name, value) for name, value in wire.fields if not name.lower().startswith("x-forwarded-")]
    if wire.body:
        own.append(("Content-Length", str(len(wire.body))))
    return [
        *own,
        ("X-Forwarded-For", ", ".join([*before, wire.client])),
        ("X-Forwarded-Port", wire.port),
        ("X-Forwarded-Proto", wire.scheme),
    ]


def rest(
    wire: Wire, *, stage: str = "prod", domain: str = "", resource: str = "/{proxy+}", base: str = ""
) -> Event:
    """API Gateway REST API: encoded path, decoded query, no content-length, fields kept apart.

    Args:
        wire: The request; its path is what follows the stage or the base path.
        stage: The stage.
        domain: A custom domain, or "" for the API's own.
        resource: The matched resource.
        base: The custom domain's base path mapping.
    """
    fields = [("Host", domain or wire.host), *_forwarded(wire)]
    lists = _lists([(name, value) for name, value in fields if name.lower() != "content-length"])
    parameters = _lists([(unquote_plus(name), unquote_plus(value)) for name, value in pairs_of(wire.query)])
    body, encoded = body_of(wire)
    path = f"{base}{wire.path}"
    return {
        "resource": resource if wire.path != "/" else "/",
        "path": path,
        "httpMethod": wire.method,
        "headers": {name: values[-1] for name, values in lists.items()},
        "multiValueHeaders": lists,
        "queryStringParameters": {name: values[-1] for name, values in parameters.items()} or None,
        "multiValueQueryStringParameters": parameters or None,
        "pathParameters": {"proxy": wire.path[1:]} if wire.path != "/" else None,
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3d4e5",
            "authorizer": None,
            "domainName": domain or "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com",
            "httpMethod": wire.method,
            "identity": {"sourceIp": wire.client, "userArn": None},
            "path": path if domain else f"/{stage}{wire.path}",
            "protocol": "HTTP/1.1",
            "requestId": "b0a1f2c3-0000-0000-0000-000000000000",
            "resourceId": "al6gqb",
            "resourcePath": resource,
            "stage": stage,
        },
        "body": body,
        "isBase64Encoded": encoded,
    }


def http_api(wire: Wire, *, stage: str = "$default", domain: str = "", route: str = "$default") -> Event:
    """API Gateway HTTP API, payload 2.0: decoded path, raw query, joined fields, cookies apart."""
    event = _payload_2(wire, decoded_once(wire.path))
    own = "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"
    if stage != "$default":
        event["rawPath"] = f"/{stage}{event['rawPath']}"
    event["routeKey"] = event["requestContext"]["routeKey"] = route
    event["requestContext"].update(stage=stage, domainName=domain or own, accountId="123456789012")
    event["headers"].pop("cookie", None)
    return event


def function_url(wire: Wire) -> Event:
    """Lambda Function URL: encoded path, raw query, joined fields, cookies both apart and in the fields."""
    event = _payload_2(wire, wire.path)
    domain = "a1b2c3d4e5f6g7h8i9j0.lambda-url.eu-central-1.on.aws"
    event["requestContext"].update(stage="$default", domainName=domain, accountId="anonymous")
    return event


def _payload_2(wire: Wire, raw_path: str) -> Event:
    lists = _lists([(name.lower(), value) for name, value in [("host", wire.host), *_forwarded(wire)]])
    cookies = [part.strip() for value in lists.get("cookie", []) for part in value.split(";")]
    parameters = _lists([(unquote_plus(name), unquote_plus(value)) for name, value in pairs_of(wire.query)])
    body, encoded = body_of(wire)
    event: Event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": raw_path,
        "rawQueryString": wire.query,
        "headers": {name: ("; " if name == "cookie" else ",").join(values) for name, values in lists.items()},
        "requestContext": {
            "apiId": "a1b2c3d4e5",
            "http": {
                "method": wire.method,
                "path": decoded_once(wire.path).rstrip("/") or "/",
                "protocol": "HTTP/1.1",
                "sourceIp": wire.client,
                "userAgent": "curl/8.7.1",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
        },
        "isBase64Encoded": encoded,
    }
    if wire.body:
        event["body"] = body
    if cookies:
        event["cookies"] = cookies
    if parameters:
        event["queryStringParameters"] = {name: ",".join(values) for name, values in parameters.items()}
    return event


def http_api_v1(wire: Wire, *, stage: str = "$default") -> Event:
    """API Gateway HTTP API, payload 1.0: a REST event with a decoded path and a version."""
    event = rest(wire, stage=stage)
    path = decoded_once(wire.path) if stage == "$default" else f"/{stage}{decoded_once(wire.path)}"
    event.update(version="1.0", path=path, resource="$default")
    event["requestContext"].update(path=path, stage=stage, resourceId=None)
    return event


def alb(wire: Wire, *, multi: bool = True) -> Event:
    """Application Load Balancer: encoded path and query; lists only when the target group says so."""
    lists = _lists([(name.lower(), value) for name, value in [("host", wire.host), *_forwarded(wire)]])
    parameters = _lists(pairs_of(wire.query))
    body, encoded = body_of(wire)
    event: Event = {
        "requestContext": {
            "elb": {
                "targetGroupArn": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/t/6d0e"
            }
        },
        "httpMethod": wire.method,
        "path": wire.path,
        "body": body or "",
        "isBase64Encoded": encoded,
    }
    if multi:
        event["multiValueHeaders"] = lists
        event["multiValueQueryStringParameters"] = parameters
    else:
        event["headers"] = {name: values[-1] for name, values in lists.items()}
        event["queryStringParameters"] = {name: values[-1] for name, values in parameters.items()}
    return event


def edge(wire: Wire, *, kind: str = "origin-request") -> Event:
    """Lambda@Edge: encoded path, raw query, fields as lists, the body always base64."""
    headers: dict[str, list[dict[str, str]]] = {}
    own = [("Content-Length", str(len(wire.body)))] if wire.body else []
    for name, value in [("Host", wire.host), *wire.fields, *own, ("CloudFront-Forwarded-Proto", wire.scheme)]:
        headers.setdefault(name.lower(), []).append({"key": name, "value": value})
    request: Event = {
        "clientIp": wire.client,
        "headers": headers,
        "method": wire.method,
        "querystring": wire.query,
        "uri": wire.path,
    }
    if wire.body:
        data = base64.b64encode(wire.body).decode()
        request["body"] = {"action": "read-only", "data": data, "encoding": "base64", "inputTruncated": False}
    config = {
        "distributionDomainName": "d111111abcdef8.cloudfront.net",
        "eventType": kind,
        "requestId": "4Tyz",
    }
    return {"Records": [{"cf": {"config": config, "request": request}}]}


def lattice(wire: Wire) -> Event:
    """VPC Lattice, event structure 2: lists of fields and of query values."""
    fields = [(name.lower(), value) for name, value in [("host", wire.host), *_forwarded(wire)]]
    body, encoded = body_of(wire)
    return {
        "version": "2.0",
        "path": wire.path,
        "method": wire.method,
        "headers": _lists(fields),
        "queryStringParameters": _lists(
            [(unquote_plus(name), unquote_plus(value)) for name, value in pairs_of(wire.query)]
        ),
        "body": body,
        "isBase64Encoded": encoded,
        "requestContext": {
            "serviceNetworkArn": "arn:aws:vpc-lattice:eu-central-1:123456789012:servicenetwork/sn-0bf3",
            "serviceArn": "arn:aws:vpc-lattice:eu-central-1:123456789012:service/svc-0a40",
            "targetGroupArn": "arn:aws:vpc-lattice:eu-central-1:123456789012:targetgroup/tg-6d0e",
            "identity": {"sourceVpcArn": "arn:aws:ec2:eu-central-1:123456789012:vpc/vpc-0b82"},
            "region": "eu-central-1",
            "timeEpoch": "1690497599177430",
        },
    }


def lattice_v1(wire: Wire) -> Event:
    """VPC Lattice, event structure 1: joined fields, the last of a repeated query value."""
    event = lattice(wire)
    return {
        "raw_path": event["path"],
        "method": event["method"],
        "headers": {name: ", ".join(values) for name, values in event["headers"].items()},
        "query_string_parameters": {
            name: values[-1] for name, values in event["queryStringParameters"].items()
        },
        "body": event["body"],
        "is_base64_encoded": event["isBase64Encoded"],
    }


DOORS: dict[str, Callable[[Wire], Event]] = {
    "rest-api": rest,
    "http-api": http_api,
    "http-api-v1": http_api_v1,
    "function-url": function_url,
    "alb-multi": alb,
    "alb-single": lambda wire: alb(wire, multi=False),
    "lambda-edge": edge,
    "vpc-lattice": lattice,
    "vpc-lattice-v1": lattice_v1,
}


def answered(door: str, answer: Any) -> Answer:
    """Return what the client of a front door gets, or fail as the service would (502).

    Raises:
        AssertionError: The answer is not one that the service's documentation allows.
    """
    assert isinstance(answer, dict)
    if door == "lambda-edge":
        return _edge_answer(answer)
    allowed = {
        "rest-api": {"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"},
        "http-api-v1": {"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"},
        "http-api": {"statusCode", "headers", "cookies", "body", "isBase64Encoded"},
        "function-url": {"statusCode", "headers", "cookies", "body", "isBase64Encoded"},
        "alb-multi": {"statusCode", "statusDescription", "multiValueHeaders", "body", "isBase64Encoded"},
        "alb-single": {"statusCode", "statusDescription", "headers", "body", "isBase64Encoded"},
        "vpc-lattice": {"statusCode", "headers", "body", "isBase64Encoded"},
        "vpc-lattice-v1": {"statusCode", "headers", "body", "isBase64Encoded"},
    }[door]
    assert set(answer) <= allowed, f"{door} refuses {set(answer) - allowed}"
    assert type(answer["statusCode"]) is int
    headers, multi = answer.get("headers", {}), answer.get("multiValueHeaders", {})
    assert all(isinstance(value, str) for value in headers.values())
    assert all(isinstance(value, str) for values in multi.values() for value in values)
    fields = [*headers.items(), *((name, value) for name, values in multi.items() for value in values)]
    fields += [("set-cookie", value) for value in answer.get("cookies", [])]
    body = answer["body"]
    octets = base64.b64decode(body, validate=True) if answer["isBase64Encoded"] else body.encode()
    return Answer(answer["statusCode"], fields, octets)


def _edge_answer(answer: Event) -> Answer:
    assert set(answer) <= {"status", "statusDescription", "headers", "body", "bodyEncoding"}
    assert isinstance(answer["status"], str)
    fields = []
    for name, lines in answer["headers"].items():
        assert name == name.lower()
        fields += [(name, line["value"]) for line in lines]
    body = answer.get("body", "")
    return Answer(
        int(answer["status"]),
        fields,
        base64.b64decode(body, validate=True) if answer.get("bodyEncoding") == "base64" else body.encode(),
    )
