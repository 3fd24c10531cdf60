"""Bad events and applications that fail: a clear answer, a log line, and the next event works."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portway.awslambda.adapter import LambdaHandler
from portway.awslambda.errors import UnknownEvent
from tests.awslambda.applications import Application, Context
from tests.awslambda.conftest import Handler
from tests.awslambda.front_doors import DOORS, Wire, answered, edge, http_api, rest

every_door = pytest.mark.parametrize("door", DOORS)


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        "text",
        42,
        {},
        {"Records": []},
        {"Records": None},
        {"Records": [None]},
        {"Records": [{"eventSource": "aws:sqs", "body": "x"}]},
        {"detail-type": "Scheduled Event", "source": "aws.events"},
        {"requestContext": None},
        {"requestContext": {}},
        {"httpMethod": "GET"},
        {"key1": "value1", "key2": "value2"},
    ],
)
def test_events_of_no_known_shape(event: Any, lambda_handler: LambdaHandler) -> None:
    with pytest.raises(UnknownEvent, match="no front door or registered function takes this event") as raised:
        lambda_handler(event, Context())
    assert raised.value.hint is not None
    assert answered("http-api", lambda_handler(http_api(Wire()), Context())).status == 200


@every_door
def test_bad_base64_is_the_clients_fault(
    door: str, lambda_handler: LambdaHandler, application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    event = DOORS[door](Wire(method="POST", body=b"\xff\xfe"))
    for bad in ("%%%", "YQ", "YQ=", "Y=Q=", "YQ==\n", "\u00e9"):
        caplog.clear()
        if door == "lambda-edge":
            event["Records"][0]["cf"]["request"]["body"]["data"] = bad
        else:
            event["body"] = bad
        answer = answered(door, lambda_handler(event, Context()))
        assert (answer.status, answer.body) == (400, b"Bad Request\n"), bad
        assert "body" in caplog.text
    assert application.seen == []


def test_a_body_that_cloudfront_has_cut(
    lambda_handler: LambdaHandler, application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    event = edge(Wire(method="POST", body=b"x" * 100))
    event["Records"][0]["cf"]["request"]["body"]["inputTruncated"] = True
    assert answered("lambda-edge", lambda_handler(event, Context())).status == 413
    assert "CloudFront cut the request body" in caplog.text
    assert application.seen == []


MUTATIONS = [None, 5, [], {}, "", "text", True, [1], {"a": 1}, ["\ud800"], "\ud800"]


@every_door
def test_any_field_may_be_missing_null_or_of_another_type(door: str, lambda_handler: LambdaHandler) -> None:
    def walk(node: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in items:
            yield (*path, key)
            yield from walk(value, (*path, key))

    wire = Wire("POST", "/a", "b=1", (("Content-Type", "text/plain"), ("Cookie", "a=1")), b"body")
    for path in walk(DOORS[door](wire), ()):
        for mutation in [..., *MUTATIONS]:
            event = DOORS[door](wire)
            node: Any = event
            for key in path[:-1]:
                node = node[key]
            if mutation is ...:
                del node[path[-1]]
            else:
                node[path[-1]] = mutation
            try:
                answer = lambda_handler(event, Context())
            except UnknownEvent:
                continue  # the mutation hit what tells this source from the others
            status = answer.get("statusCode") or int(answer["status"])
            assert status in (200, 400, 413), (path, mutation, answer)
    assert answered(door, lambda_handler(DOORS[door](wire), Context())).status == 200


KEYS = (
    "Records accountId authorizer awslogs body cf claims connectionId cookies data detail-type "
    "domainName elb encoding eventSource eventType headers host http httpMethod identity "
    "inputTruncated isBase64Encoded jwt method multiValueHeaders "
    "multiValueQueryStringParameters path pathParameters protocol querystring "
    "queryStringParameters rawPath rawQueryString raw_path request requestContext resource "
    "routeKey s3 serviceArn source sourceIp stage triggerSource uri value version x-forwarded- "
    "for x-forwarded-port"
).split()
SCALARS = st.sampled_from(
    [None, True, 0, 1.5, "", "/", "GET", "%", "[", "::", "$default", "2.0", "YQ==", "a,b", "\x00", "\ud800"]
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=8),
    max_leaves=40,
)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(event=st.dictionaries(st.sampled_from(KEYS), JSON, max_size=10))
def test_any_event_is_answered_or_unknown(lambda_handler: LambdaHandler, event: dict[str, Any]) -> None:
    try:
        answer = lambda_handler(event, Context())
    except UnknownEvent:
        return
    assert isinstance(answer, dict)


def test_a_missing_field_is_named(lambda_handler: LambdaHandler, caplog: pytest.LogCaptureFixture) -> None:
    event = http_api(Wire())
    del event["rawPath"]
    assert lambda_handler(event, Context())["statusCode"] == 400
    assert "malformed http-api event: rawPath is missing" in caplog.text
    event = rest(Wire())
    event["httpMethod"] = None
    assert lambda_handler(event, Context())["statusCode"] == 400
    assert "malformed rest-api event: httpMethod is missing" in caplog.text


def misbehaving_wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Do what the path says."""
    headers = [("Content-Type", "text/plain")]
    match environ["PATH_INFO"]:
        case "/raise":
            raise RuntimeError("secret detail")
        case "/raise-later":
            start_response("200 OK", headers)
            return (bytes([65 + number]) for number in (0, 1, -99))
        case "/exit":
            sys.exit(3)
        case "/silent":
            return [b"x"]
        case "/twice":
            start_response("200 OK", headers)
            start_response("200 OK", headers)
        case "/text":
            start_response("200 OK", headers)
            return ["text"]  # type: ignore[list-item]
        case "/none":
            start_response("200 OK", headers)
            return None  # type: ignore[return-value]
        case "/status":
            start_response("OK", headers)
        case "/interrupt":
            raise KeyboardInterrupt
        case _:
            start_response("200 OK", headers)
    return [b"fine"]


async def misbehaving_asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Do what the path says."""
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
    body = {"type": "http.response.body", "body": b"fine"}
    match scope["path"]:
        case "/raise":
            raise RuntimeError("secret detail")
        case "/raise-later":
            await send(start)
            await send({**body, "more_body": True})
            raise RuntimeError("secret detail")
        case "/exit":
            sys.exit(3)
        case "/silent":
            return
        case "/twice":
            await send(start)
            await send(start)
        case "/text":
            await send(start)
            await send({**body, "body": "text"})
            return
        case "/none":
            await send({**start, "headers": [None]})
        case "/status":
            await send({**start, "status": "OK"})
        case "/interrupt":
            raise KeyboardInterrupt
        case _:
            await send(start)
    await send(body)


@pytest.fixture
def misbehaving(interface: str, made: Handler) -> LambdaHandler:
    """A handler over the misbehaving application."""
    app = misbehaving_wsgi if interface == "wsgi" else misbehaving_asgi
    return made(app, lifespan="off")


@pytest.mark.parametrize(
    "path",
    ["/raise", "/raise-later", "/exit", "/silent", "/twice", "/text", "/none", "/status", "/interrupt"],
)
def test_an_application_that_fails(
    path: str, misbehaving: LambdaHandler, caplog: pytest.LogCaptureFixture
) -> None:
    answer = answered("http-api", misbehaving(http_api(Wire(path=path)), Context()))
    assert (answer.status, answer.body) == (500, b"Internal Server Error\n")
    assert caplog.records
    assert b"secret" not in answer.body
    for _ in range(3):
        answer = answered("http-api", misbehaving(http_api(Wire(path="/fine")), Context()))
        assert (answer.status, answer.body) == (200, b"fine")


def test_log_lines_carry_the_request_id(misbehaving: LambdaHandler, caplog: pytest.LogCaptureFixture) -> None:
    misbehaving(http_api(Wire(path="/raise")), Context(request_id="the-one"))
    assert [vars(record)["requestId"] for record in caplog.records] == ["the-one"]


def test_close_is_called_whatever_happens(made: Handler) -> None:
    closed = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            yield b"a"
            raise RuntimeError

        def close(self) -> None:
            closed.append(True)

    def app(environ: dict[str, Any], start_response: Any) -> Body:
        start_response("200 OK", [])
        return Body()

    assert made(app)(http_api(Wire()), Context())["statusCode"] == 500
    assert closed == [True]


def test_exc_info_replaces_the_answer(made: Handler) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("X-Old", "1")])
        try:
            raise ValueError
        except ValueError:
            start_response("503 Busy", [("X-New", "1")], sys.exc_info())
        return [b"busy"]

    answer = made(app, id_headers=False)(http_api(Wire()), Context())
    assert (answer["statusCode"], answer["headers"], answer["body"]) == (503, {"x-new": "1"}, "busy")


def test_write_comes_before_the_iterable(made: Handler) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"a")
        write(b"b")
        return [b"c"]

    assert made(app)(http_api(Wire()), Context())["body"] == "abc"


def test_a_failure_after_the_answer_is_logged_and_the_answer_kept(
    made: Handler, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})
        raise RuntimeError("background task")

    answer = made(app, lifespan="off")(http_api(Wire()), Context())
    assert (
        answer["statusCode"],
        base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"],
    ) == (
        200,
        "done",
    )
    assert "after its answer was complete" in caplog.text


def test_a_child_that_the_application_forked_does_not_answer(made: Handler) -> None:
    read, write = os.pipe()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        children.append(os.fork())
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"parent"]

    children: list[int] = []
    handler = made(app, deadline_margin=0)
    answer = handler(http_api(Wire()), Context())
    os.write(write, b"answered once")  # the child must not come this far
    if children[-1] == 0:
        os._exit(99)
    _, status = os.waitpid(children[-1], 0)
    assert os.waitstatus_to_exitcode(status) == 70
    assert (answer["body"], os.read(read, 100)) == ("parent", b"answered once")
    os.close(read)
    os.close(write)


def test_recorded_applications_still_answer(lambda_handler: LambdaHandler, application: Application) -> None:
    assert lambda_handler(http_api(Wire()), None)["statusCode"] == 200
    assert application.raw[-1]["aws.context"] is None
