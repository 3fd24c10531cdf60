"""The same events through Mangum and apig-wsgi, as second opinions.

Where all agree there is nothing to say. Each difference is listed with the documentation or the live
capture that decides it; one that is not listed, or no longer there, fails the test.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
from typing import Any

import pytest

from portway.awslambda import handler
from tests.awslambda.applications import Application, Context
from tests.awslambda.front_doors import DOORS, Wire, alb, edge, function_url, http_api, http_api_v1, rest
from tests.awslambda.peers import needs

COOKIES = ("Cookie", "a=1; b=2")
JSON = ("Content-Type", "application/json")
EVENTS: dict[str, tuple[str, dict[str, Any]]] = {}
for door, make in DOORS.items():
    EVENTS[f"{door} plain"] = (door, make(Wire(path="/users/7")))
    EVENTS[f"{door} query"] = (door, make(Wire(path="/", query="a=1&a=2&b=a%2Bb&c=d+e&f=")))
    EVENTS[f"{door} post"] = (
        door,
        make(Wire(method="POST", path="/", fields=(JSON, COOKIES), body=b'{"a": 1}')),
    )
    EVENTS[f"{door} binary"] = (door, make(Wire(method="PUT", path="/", body=b"\x00\xff")))
    EVENTS[f"{door} encoded"] = (door, make(Wire(path="/a%252Fb/caf%C3%A9")))
    EVENTS[f"{door} ipv6"] = (door, make(Wire(path="/", host="[::1]:8000")))
    EVENTS[f"{door} spoofed"] = (door, make(Wire(path="/", fields=(("X-Forwarded-For", "6.6.6.6"),))))
    EVENTS[f"{door} http"] = (door, make(Wire(path="/", scheme="http")))


def asgi_view(app: Any, event: dict[str, Any]) -> dict[str, Any] | str:
    """Return what the application sees under an ASGI adapter, or how the adapter failed."""
    application = Application()
    try:
        answer = app(application)(event, Context())
    except Exception as error:
        return type(error).__name__
    if not application.raw:
        return f"answered {answer.get('statusCode')} itself"
    scope, seen = application.raw[-1], application.seen[-1]
    return {
        "method": scope["method"],
        "path": scope["path"],
        "root_path": scope["root_path"],
        "raw_path": scope["raw_path"],
        "query": scope["query_string"],
        "body": seen.body,
        "cookie": sorted(seen.fields.get("cookie", [])),
        "client": seen.client,
        "server": scope["server"],
        "scheme": scope["scheme"],
        "length": seen.fields.get("content-length"),
    }


def own_view(event: dict[str, Any]) -> dict[str, Any] | str:
    """Return what the application sees under Portway."""
    made = []

    def own(application: Application) -> Any:
        made.append(handler(application.asgi, lifespan="off"))
        return made[-1]

    try:
        return asgi_view(own, event)
    finally:
        made[-1].close()


def mangums_view(event: dict[str, Any]) -> dict[str, Any] | str:
    """Return what the application sees under Mangum, which leaves the thread's current loop open."""
    mangum: Any = importlib.import_module("mangum").Mangum
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return asgi_view(lambda application: mangum(application.asgi, lifespan="off"), event)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def differences(ours: Any, theirs: Any) -> set[str]:
    """Return the names of what differs; an adapter that failed differs in "failed"."""
    if isinstance(theirs, str):
        return {"failed"}
    return {name for name in ours if ours[name] != theirs[name]}


# Why Mangum sees something else, by source and then by what.
MANGUM: dict[str, dict[str, str]] = {
    "*": {
        "raw_path": "Mangum leaves raw_path out; ASGI has had it since 2.2",
        "root_path": "Mangum does not tell the stage, so links and redirects leave it out",
        "server": "Mangum takes port 80 for https without X-Forwarded-Port, and fails on IPv6",
        "failed": "Mangum takes no such event, or splits an IPv6 Host at its first colon",
    },
    "rest-api": {
        "length": "a REST event has no content-length; form parsers need one",
        "query": "both encode again; Mangum writes a space as a plus",
        "path": "Portway's path has the root_path in front, as ASGI demands",
    },
    "http-api": {
        "path": "rawPath is decoded already (live capture); Mangum decodes requestContext.http.path again"
    },
    "http-api-v1": {
        "length": "an event of payload 1.0 need not have a content-length; form parsers need one",
        "query": "both encode again; Mangum writes a space as a plus",
        "path": "the path of a payload 1.0 is decoded already; Mangum decodes it again",
    },
    "function-url": {"path": "Mangum decodes http.path, which is decoded already; rawPath is not"},
    "alb-multi": {
        "client": "the first address of X-Forwarded-For is the client's claim, the last the service's",
    },
    "alb-single": {
        "client": "the first address of X-Forwarded-For is the client's claim, the last the service's",
    },
    "lambda-edge": {
        "path": "the uri is percent encoded; Mangum passes it on as the decoded path",
    },
}


@needs("mangum")
@pytest.mark.parametrize("name", EVENTS)
def test_mangum(name: str) -> None:
    door, event = EVENTS[name]
    ours = own_view(event)
    theirs = mangums_view(event)
    assert isinstance(ours, dict), ours
    explained = set(MANGUM["*"]) | set(MANGUM.get(door, {}))
    assert differences(ours, theirs) <= explained, (ours, theirs)


def unneeded(explained: dict[str, dict[str, str]], found: dict[str, set[str]]) -> list[tuple[str, str]]:
    """Return the explanations of differences that no event shows."""
    everywhere = set().union(*found.values())
    return [
        (door, name)
        for door, reasons in explained.items()
        for name in reasons
        if name not in (everywhere if door == "*" else found[door])
    ]


@needs("mangum")
def test_every_explanation_of_mangums_is_needed() -> None:
    found: dict[str, set[str]] = {door: set() for door in DOORS}
    for door, event in EVENTS.values():
        found[door] |= differences(own_view(event), mangums_view(event))
    assert unneeded(MANGUM, found) == []


@needs("mangum")
def test_mangum_still_decodes_twice() -> None:
    for make in (http_api, function_url):
        theirs = mangums_view(make(Wire(path="/a%252Fb")))
        assert isinstance(theirs, dict) and theirs["path"] == "/a/b"  # the client asked for a%2Fb


def wsgi_view(app: Any, event: dict[str, Any]) -> dict[str, Any] | str:
    """Return what the application sees under a WSGI adapter, or how the adapter failed."""
    application = Application()
    try:
        app(application)(event, Context())
    except Exception as error:
        return type(error).__name__
    environ, seen = application.raw[-1], application.seen[-1]
    return {
        "REQUEST_METHOD": environ["REQUEST_METHOD"],
        "PATH_INFO": environ["PATH_INFO"],
        "SCRIPT_NAME": environ["SCRIPT_NAME"],
        "QUERY_STRING": environ["QUERY_STRING"],
        "body": seen.body,
        "HTTP_COOKIE": environ.get("HTTP_COOKIE") or None,
        "CONTENT_TYPE": environ.get("CONTENT_TYPE"),
        "HTTP_CONTENT_TYPE": environ.get("HTTP_CONTENT_TYPE"),
        "REMOTE_ADDR": environ["REMOTE_ADDR"],
        "SERVER_NAME": environ["SERVER_NAME"],
        "SERVER_PORT": environ["SERVER_PORT"],
        "wsgi.url_scheme": environ["wsgi.url_scheme"],
    }


APIG_WSGI: dict[str, dict[str, str]] = {
    "*": {
        "SCRIPT_NAME": "apig-wsgi does not tell the stage",
        "HTTP_CONTENT_TYPE": "CONTENT_TYPE stands without HTTP_ (RFC 3875, section 4.1.3)",
        "SERVER_NAME": "a server's name has no port, and an IPv6 address no brackets",
        "failed": "apig-wsgi takes no such event",
    },
    "rest-api": {
        "QUERY_STRING": "both encode again; apig-wsgi writes a space as a plus",
        "REMOTE_ADDR": "last hop",
    },
    "http-api-v1": {
        "QUERY_STRING": "both encode again; apig-wsgi writes a space as a plus",
        "PATH_INFO": "the path of a payload 1.0 is decoded already; apig-wsgi decodes it again",
        "REMOTE_ADDR": "requestContext.identity.sourceIp is the service's own word",
    },
    "http-api": {
        "PATH_INFO": "rawPath is decoded already (live capture); apig-wsgi decodes it again",
        "HTTP_COOKIE": 'apig-wsgi joins cookies with ";" instead of "; " (RFC 6265, section 4.2.1)',
    },
    "function-url": {"HTTP_COOKIE": "a Function URL sends cookies twice; apig-wsgi passes both on"},
    "alb-multi": {"REMOTE_ADDR": "the last address of X-Forwarded-For is the load balancer's own"},
    "alb-single": {"REMOTE_ADDR": "the last address of X-Forwarded-For is the load balancer's own"},
}


@needs("apig_wsgi")
@pytest.mark.parametrize("name", EVENTS)
def test_apig_wsgi(name: str) -> None:
    make_lambda_handler = importlib.import_module("apig_wsgi").make_lambda_handler
    door, event = EVENTS[name]
    ours = wsgi_view(lambda application: handler(application.wsgi, deadline_margin=0), event)
    theirs = wsgi_view(lambda application: make_lambda_handler(application.wsgi), event)
    assert isinstance(ours, dict), ours
    explained = set(APIG_WSGI["*"]) | set(APIG_WSGI.get(door, {}))
    assert differences(ours, theirs) <= explained, (ours, theirs)


@needs("apig_wsgi")
def test_every_explanation_of_apig_wsgis_is_needed() -> None:
    make_lambda_handler = importlib.import_module("apig_wsgi").make_lambda_handler
    found: dict[str, set[str]] = {door: set() for door in DOORS}
    for door, event in EVENTS.values():
        ours = wsgi_view(lambda application: handler(application.wsgi, deadline_margin=0), event)
        theirs = wsgi_view(lambda application: make_lambda_handler(application.wsgi), event)
        found[door] |= differences(ours, theirs)
    assert unneeded(APIG_WSGI, found) == []


@needs("apig_wsgi", "mangum")
@pytest.mark.parametrize("make", [http_api, rest, alb, function_url, http_api_v1])
def test_a_plain_answer_is_the_same_for_all(make: Any) -> None:
    make_lambda_handler = importlib.import_module("apig_wsgi").make_lambda_handler
    mangum: Any = importlib.import_module("mangum").Mangum
    application = Application(headers=[("content-type", "text/plain")])
    event = make(Wire(path="/"))
    own = handler(application.wsgi, id_headers=False, deadline_margin=0)(event, Context())
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    others = [
        mangum(application.asgi, lifespan="off")(event, Context()),
        make_lambda_handler(application.wsgi)(event, Context()),
    ]
    asyncio.set_event_loop(None)
    loop.close()
    for other in others:
        assert (own["statusCode"], own["body"]) == (other["statusCode"], other["body"])
        multi = {name: ", ".join(values) for name, values in other.get("multiValueHeaders", {}).items()}
        theirs = {**other.get("headers", {}), **multi}
        mine = {name: ", ".join(values) for name, values in own.get("multiValueHeaders", {}).items()}
        assert {**own.get("headers", {}), **mine} == theirs


def test_an_edge_answer_in_cloudfronts_words() -> None:
    application = Application(headers=[("Content-Type", "image/png")], body=b"\x89PNG")
    answer = handler(application.wsgi, id_headers=False, deadline_margin=0)(edge(Wire()), Context())
    assert answer == {
        "status": "200",
        "statusDescription": "Status",
        "headers": {"content-type": [{"key": "content-type", "value": "image/png"}]},
        "body": base64.b64encode(b"\x89PNG").decode(),
        "bodyEncoding": "base64",
    }
