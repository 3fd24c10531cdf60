"""The events that front doors make of a request: AWS's documented formats, field by field."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from portway.awslambda.front import Door, HTTPRequest, Match, Stamp, build_event
from portway.awslambda.front.door import Kind

STAMP = Stamp(
    1783711144.836, "7c2af7db-31f3-42b5-8a6d-9ffc74e3b9e0", "Root=1-6a5145a8-536f3e792f6be9b44c1f46fa"
)
QUERY = (
    "repeat=one&repeat=two&redirect=https%3A%2F%2Fexample.com%2Fa%2Fb"
    "&literalPlus=a+b&encodedPlus=a%2Bb&empty="
)
REQUEST = HTTPRequest(
    "POST",
    "/capture/space%20value",
    QUERY,
    [
        ("Host", "api.example.com"),
        ("user-agent", "curl/8.7.1"),
        ("accept", "*/*"),
        ("Content-Type", "application/json"),
        ("cookie", "session=abc123; theme=dark"),
        ("x-probe", "first"),
        ("x-probe", "second"),
    ],
    '{"unicode":"lambda-λ"}'.encode(),
    "68.8.83.18",
)


def built(kind: Kind, request: HTTPRequest = REQUEST, **door: Any) -> dict[str, Any]:
    """Return the event of a door; it must be one that JSON can carry."""
    event = build_event(Door(kind, **door), request, STAMP)
    assert json.loads(json.dumps(event)) == event
    return event


def test_a_rest_api_decodes_the_query_but_not_the_path() -> None:
    event = built("rest", binary_types=("image/png",))
    assert event["path"] == "/capture/space%20value"
    assert event["resource"] == "/{proxy+}"
    assert event["pathParameters"] == {"proxy": "capture/space%20value"}
    assert event["multiValueQueryStringParameters"] == {
        "repeat": ["one", "two"],
        "redirect": ["https://example.com/a/b"],
        "literalPlus": ["a b"],
        "encodedPlus": ["a+b"],
        "empty": [""],
    }
    assert event["queryStringParameters"]["repeat"] == "two"
    assert event["multiValueHeaders"]["x-probe"] == ["first", "second"]
    assert event["headers"]["x-probe"] == "second"
    assert event["stageVariables"] is None
    assert (event["body"], event["isBase64Encoded"]) == ('{"unicode":"lambda-λ"}', False)
    assert "version" not in event


def test_a_rest_api_keeps_names_but_its_own_and_tells_no_length() -> None:
    headers = built("rest")["headers"]
    assert {"Content-Type", "cookie", "x-probe", "User-Agent", "Host", "X-Amzn-Trace-Id"} <= set(headers)
    assert not {name for name in headers if name.lower() == "content-length"}
    assert headers["X-Forwarded-For"] == "68.8.83.18"
    assert (headers["X-Forwarded-Port"], headers["X-Forwarded-Proto"]) == ("443", "https")


def test_a_rest_api_s_context() -> None:
    context = built("rest")["requestContext"]
    assert context["path"] == "/capture/space%20value"
    assert context["stage"] == "api"
    assert context["domainName"] == "api.example.com"
    assert context["resourcePath"] == "/{proxy+}"
    assert context["requestTime"] == "10/Jul/2026:19:19:04 +0000"
    assert context["requestTimeEpoch"] == 1783711144836
    assert context["identity"]["sourceIp"] == "68.8.83.18"
    assert context["identity"]["userAgent"] == "curl/8.7.1"
    assert context["authorizer"] is None
    assert context["requestId"] == STAMP.request_id


def test_a_rest_api_s_stage_is_in_the_context_s_path_alone() -> None:
    event = built("rest", HTTPRequest("GET", "/live/users/7"), stage="live")
    assert event["path"] == "/users/7"
    assert event["requestContext"]["path"] == "/live/users/7"
    assert event["requestContext"]["stage"] == "live"
    assert event["requestContext"]["domainName"].endswith(".execute-api.us-east-1.amazonaws.com")


@pytest.mark.parametrize(("path", "inner"), [("/live", "/"), ("/live/", "/"), ("/live//", "//")])
def test_the_root_of_a_stage(path: str, inner: str) -> None:
    assert Door("rest", "live").within(path) == inner


@pytest.mark.parametrize("path", ["/", "/liver", "/live%2Fx", "/other/live"])
def test_what_is_not_below_the_stage(path: str) -> None:
    assert Door("rest", "live").within(path) is None
    with pytest.raises(LookupError):
        build_event(Door("rest", "live"), HTTPRequest("GET", path), STAMP)


def test_a_matched_resource_and_an_authorizer() -> None:
    match = Match("/users/{id}", {"id": "a%20b"})
    who = {"principalId": "me"}
    event = build_event(Door("rest"), HTTPRequest("GET", "/users/a%20b"), STAMP, match, who)
    assert (event["resource"], event["pathParameters"]) == ("/users/{id}", {"id": "a%20b"})
    assert event["requestContext"]["resourcePath"] == "/users/{id}"
    assert event["requestContext"]["authorizer"] == who


def test_a_bare_rest_request_has_nulls() -> None:
    event = built("rest", HTTPRequest("GET"))
    for name in ("queryStringParameters", "multiValueQueryStringParameters", "pathParameters", "body"):
        assert event[name] is None
    assert event["resource"] == "/"


def test_an_http_api_decodes_the_path_but_not_the_query() -> None:
    event = built("http")
    assert (event["version"], event["routeKey"]) == ("2.0", "$default")
    assert event["rawPath"] == "/capture/space value"
    assert event["rawQueryString"] == QUERY
    assert event["queryStringParameters"]["repeat"] == "one,two"
    assert event["queryStringParameters"]["literalPlus"] == "a b"
    assert event["cookies"] == ["session=abc123", "theme=dark"]
    assert "cookie" not in event["headers"]
    assert event["headers"]["x-probe"] == "first,second"
    assert event["headers"]["content-length"] == str(len(REQUEST.body))
    assert "pathParameters" not in event and "stageVariables" not in event
    http = event["requestContext"]["http"]
    assert http == {
        "method": "POST",
        "path": "/capture/space value",
        "protocol": "HTTP/1.1",
        "sourceIp": "68.8.83.18",
        "userAgent": "curl/8.7.1",
    }
    assert event["requestContext"]["time"] == "10/Jul/2026:19:19:04 +0000"
    assert event["requestContext"]["timeEpoch"] == 1783711144836
    assert "authorizer" not in event["requestContext"]


def test_an_http_api_s_stage_is_in_the_path() -> None:
    event = built("http", HTTPRequest("GET", "/live/a/"), stage="live")
    assert event["rawPath"] == "/live/a/"
    assert event["requestContext"]["http"]["path"] == "/live/a"
    assert event["requestContext"]["stage"] == "live"
    assert "body" not in event and "queryStringParameters" not in event and "cookies" not in event


def test_a_function_url_decodes_neither_and_tells_cookies_twice() -> None:
    event = built("url")
    assert event["rawPath"] == "/capture/space%20value"
    assert event["requestContext"]["http"]["path"] == "/capture/space value"
    assert event["cookies"] == ["session=abc123", "theme=dark"]
    assert event["headers"]["cookie"] == "session=abc123; theme=dark"
    assert event["requestContext"]["accountId"] == "anonymous"
    assert ".lambda-url." in event["requestContext"]["domainName"]


def test_a_load_balancer_decodes_nothing() -> None:
    event = built("alb")
    assert event["path"] == "/capture/space%20value"
    assert event["multiValueQueryStringParameters"]["redirect"] == ["https%3A%2F%2Fexample.com%2Fa%2Fb"]
    assert event["multiValueHeaders"]["x-probe"] == ["first", "second"]
    assert "headers" not in event and "queryStringParameters" not in event
    assert set(event["requestContext"]) == {"elb"}


def test_a_load_balancer_without_lists_keeps_the_last() -> None:
    event = built("alb", multi_value=False)
    assert event["queryStringParameters"]["repeat"] == "two"
    assert event["headers"]["x-probe"] == "second"
    assert "multiValueHeaders" not in event
    assert built("alb", HTTPRequest("GET"))["body"] == ""


@pytest.mark.parametrize("kind", ["http", "url", "alb"])
@pytest.mark.parametrize(
    ("content_type", "encoding", "body", "is_text"),
    [
        ("text/plain; charset=utf-8", "", b"x", True),
        ("Application/JSON", "", b"{}", True),
        ("application/xml", "", b"<a/>", True),
        ("text/plain", "gzip", b"x", False),
        ("text/plain", "", b"\xff", False),
        ("application/x-www-form-urlencoded", "", b"a=b", False),
        ("image/svg+xml", "", b"<svg/>", False),
        ("", "", b"x", False),
    ],
)
def test_a_body_is_text_when_its_type_says_so(
    kind: Kind, content_type: str, encoding: str, body: bytes, is_text: bool
) -> None:
    fields = [("Content-Type", content_type), ("Content-Encoding", encoding)]
    request = HTTPRequest("POST", "/", "", [field for field in fields if field[1]], body)
    event = built(kind, request)
    assert event["isBase64Encoded"] is not is_text
    assert event["body"] == (body.decode() if is_text else base64.b64encode(body).decode())


@pytest.mark.parametrize(
    ("content_type", "binary_types", "is_binary"),
    [
        ("image/png", ("image/png",), True),
        ("IMAGE/PNG; x=y", ("image/png",), True),
        ("image/gif", ("image/*",), True),
        ("imagex/gif", ("image/*",), False),
        ("text/plain", ("*/*",), True),
        ("text/plain", (), False),
        ("", ("application/json",), True),
    ],
)
def test_a_rest_api_goes_by_its_binary_types(
    content_type: str, binary_types: tuple[str, ...], is_binary: bool
) -> None:
    fields = [("content-type", content_type)] if content_type else []
    event = built("rest", HTTPRequest("POST", "/", "", fields, b"\xffa"), binary_types=binary_types)
    assert (event["body"], event["isBase64Encoded"]) == (("/2E=", True) if is_binary else ("\ufffda", False))


@pytest.mark.parametrize("kind", ["rest", "http", "url", "alb"])
def test_what_a_client_says_of_its_own_way_is_not_believed(kind: Kind) -> None:
    fields = [
        ("Host", "example.com"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("x-forwarded-for", "10.0.0.2"),
        ("X-Forwarded-Proto", "gopher"),
        ("X-Forwarded-Port", "70"),
        ("Connection", "x-secret"),
        ("Transfer-Encoding", "chunked"),
        ("Upgrade", "h2c"),
        ("Content-Length", "999"),
        ("X-Amzn-Trace-Id", "Root=1-00000000-000000000000000000000000"),
    ]
    event = built(kind, HTTPRequest("POST", "/", "", fields, b"abc", "203.0.113.9", "http", 8000))
    lists = event.get("multiValueHeaders") or {name: [value] for name, value in event["headers"].items()}
    found = {name.lower(): values for name, values in lists.items()}
    assert found["x-forwarded-for"] == ["10.0.0.1, 10.0.0.2, 203.0.113.9"]
    assert (found["x-forwarded-proto"], found["x-forwarded-port"]) == (["http"], ["8000"])
    assert not {"connection", "transfer-encoding", "upgrade"} & set(found)
    assert found.get("content-length", ["3"]) == ["3"]
    assert found["x-amzn-trace-id"] == ["Root=1-00000000-000000000000000000000000"]


@pytest.mark.parametrize("kind", ["rest", "http", "url", "alb"])
@pytest.mark.parametrize("query", ["f", "f&", "&&=", "=v", "a=b=c", "%zz=%", "x=%FF"])
def test_strange_queries_are_carried(kind: Kind, query: str) -> None:
    event = built(kind, HTTPRequest("GET", "/", query))
    if kind in ("http", "url"):
        assert event["rawQueryString"] == query
    assert event.get("body") in (None, "")


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("example.com:8000", "example.com"),
        ("[::1]:8000", "::1"),
        ("", "local.execute-api.us-east-1.amazonaws.com"),
    ],
)
def test_the_domain_is_the_host_s_name(host: str, domain: str) -> None:
    request = HTTPRequest("GET", "/", "", [("Host", host)] if host else [])
    assert built("http", request)["requestContext"]["domainName"] == domain
