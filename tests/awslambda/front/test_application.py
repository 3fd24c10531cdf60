"""A handler as a WSGI application: every way in which a handler can misbehave, door by door."""

from __future__ import annotations

import io
import threading
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from portway.awslambda.front import Door
from portway.awslambda.front.application import Handler, HandlerApplication
from portway.awslambda.front.door import Kind
from portway.awslambda.front.wsgi import FIELDS

KINDS: tuple[Kind, ...] = ("rest", "http", "url", "alb")
every_kind = pytest.mark.parametrize("kind", KINDS)


class Called:
    """What one request got."""

    def __init__(self, app: HandlerApplication, environ: dict[str, Any], checked: bool = True) -> None:
        self.errors = io.StringIO()
        environ = {
            "QUERY_STRING": "",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/",
            **environ,
            "wsgi.errors": self.errors,
        }
        setup_testing_defaults(environ)
        environ.setdefault("REMOTE_ADDR", "203.0.113.7")

        def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
            self.status, self.headers = int(status[:3]), headers
            return lambda _: None

        result = validator(app)(environ, start_response) if checked else app(environ, start_response)
        self.body = b"".join(result)
        if hasattr(result, "close"):
            result.close()

    @property
    def fields(self) -> dict[str, str]:
        """The header fields by lower-case name."""
        return {name.lower(): value for name, value in self.headers}


def call(handler: Handler, kind: Kind = "http", *, timeout_s: float = 0.0, **environ: Any) -> Called:
    """Send one request to a handler behind a door."""
    return Called(HandlerApplication(handler, Door(kind), "fn", timeout_s), environ)


def answering(answer: Any) -> Handler:
    """Return a handler that answers this."""
    return lambda event, context: answer


FAILED = {"rest": 502, "http": 500, "url": 502, "alb": 502}


@every_kind
@pytest.mark.parametrize("error", [ValueError("secret"), SystemExit(1), KeyboardInterrupt(), GeneratorExit()])
def test_a_handler_that_raises(kind: Kind, error: BaseException) -> None:
    def handler(event: Any, context: Any) -> Any:
        raise error

    found = call(handler, kind)
    assert found.status == FAILED[kind]
    assert b"secret" not in found.body
    assert type(error).__name__ in found.errors.getvalue()


async def coroutine(event: Any, context: Any) -> Any:
    """Be what Lambda's Python runtime does not await."""


def generator(event: Any, context: Any) -> Any:
    """Be what Lambda's Python runtime does not iterate."""
    yield {"statusCode": 200}


@every_kind
@pytest.mark.parametrize(
    "handler", [coroutine, generator, answering(object()), answering(b"x"), answering({"statusCode": "x"})]
)
def test_an_answer_that_is_none(kind: Kind, handler: Handler) -> None:
    found = call(handler, kind)
    assert found.status == FAILED[kind]
    assert "the handler's answer is none" in found.errors.getvalue()


@every_kind
def test_a_header_with_a_line_break_never_leaves(kind: Kind) -> None:
    key = "multiValueHeaders" if kind == "alb" else "headers"
    evil: Any = "a\r\nSet-Cookie: session=stolen"
    found = call(answering({"statusCode": 200, key: {"X": [evil] if kind == "alb" else evil}}), kind)
    assert found.status == FAILED[kind]
    assert "set-cookie" not in found.fields


@every_kind
@pytest.mark.parametrize("status", [204, 304, 200])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_answers_are_wsgi_s(kind: Kind, status: int, method: str) -> None:
    found = call(answering({"statusCode": status, "body": "é"}), kind, REQUEST_METHOD=method)
    assert found.status == status
    if status == 200:
        assert found.body == (b"" if method == "HEAD" else "é".encode())
    else:
        assert found.body == b""


def test_the_context_object() -> None:
    def handler(event: Any, context: Any) -> Any:
        left = context.get_remaining_time_in_millis()
        assert 0 < left <= 900_000
        assert context.function_name == "fn" and context.function_version == "$LATEST"
        assert context.invoked_function_arn.endswith(":function:fn")
        assert isinstance(context.memory_limit_in_mb, str)
        assert context.identity.cognito_identity_id is None and context.client_context is None
        assert context.log_group_name == "/aws/lambda/fn" and context.log_stream_name
        return context.aws_request_id

    one, two = call(handler), call(handler)
    assert one.status == two.status == 200
    assert one.body != two.body
    assert one.body.decode() == one.fields["apigw-requestid"]


def test_the_time_left_follows_the_timeout() -> None:
    def handler(event: Any, context: Any) -> Any:
        return context.get_remaining_time_in_millis()

    assert 0 < int(call(handler, timeout_s=50.0).body) <= 50_000


@pytest.mark.parametrize(("kind", "status"), [("rest", 504), ("http", 504), ("url", 504), ("alb", 502)])
def test_a_handler_that_takes_too_long(kind: Kind, status: int) -> None:
    go, over = threading.Event(), threading.Event()

    def handler(event: Any, context: Any) -> Any:
        go.wait(20)
        over.set()
        return {"statusCode": 200}

    found = call(handler, kind, timeout_s=0.02)
    assert found.status == status
    assert "took longer than 0.02 s" in found.errors.getvalue()
    go.set()
    assert over.wait(20), "the handler goes on after its request has been answered"


@pytest.mark.parametrize(
    ("kind", "size"), [("rest", 10 << 20), ("http", 10 << 20), ("url", 6 << 20), ("alb", 10**6)]
)
def test_a_body_over_the_door_s_limit_is_not_read(kind: Kind, size: int) -> None:
    class Unread(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise AssertionError("read")

    environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(size + 1), "wsgi.input": Unread()}
    found = Called(HandlerApplication(answering("x"), Door(kind), "fn"), environ, checked=False)
    assert found.status == 413


@every_kind
def test_a_body_over_the_limit_without_a_length(kind: Kind) -> None:
    environ = {
        "REQUEST_METHOD": "POST",
        "CONTENT_LENGTH": "",
        "wsgi.input_terminated": True,
        "wsgi.input": io.BytesIO(bytes((10 << 20) + 1)),
    }
    found = Called(HandlerApplication(answering("x"), Door(kind), "fn"), environ, checked=False)
    assert found.status == 413


@pytest.mark.parametrize("kind", ["rest", "http"])
def test_an_event_over_lambda_s_limit(kind: Kind) -> None:
    called: list[Any] = []
    body = bytes(5 << 20)  # base64 makes 6.7 MB of it
    environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
    app = HandlerApplication(lambda event, context: called.append(event), Door(kind), "fn")
    assert Called(app, environ).status == 413
    assert called == []


@pytest.mark.parametrize(("kind", "status"), [("rest", 403), ("http", 404)])
def test_what_is_outside_the_stage(kind: Kind, status: int) -> None:
    app = HandlerApplication(answering({"statusCode": 200}), Door(kind, "live"), "fn")
    assert Called(app, {"PATH_INFO": "/live/x"}).status == 200
    assert Called(app, {"PATH_INFO": "/x"}).status == status


def echo(event: Any, context: Any) -> Any:
    """Answer with the event."""
    return {"event": event}


def event_of(kind: Kind = "url", **environ: Any) -> dict[str, Any]:
    """Return the event that a request becomes."""
    seen: list[dict[str, Any]] = []

    def handler(event: Any, context: Any) -> Any:
        seen.append(event)
        return {"statusCode": 200}

    assert call(handler, kind, **environ).status == 200
    return seen[0]


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"RAW_URI": "/a%2Fb?x"}, "/a%2Fb"),
        ({"REQUEST_URI": "/a%2Fb?x"}, "/a%2Fb"),
        ({"RAW_URI": "/caf\xc3\xa9/%C3%A9"}, "/caf%C3%A9/%C3%A9"),
        ({"RAW_URI": "http://example.com/a%2Fb?x", "PATH_INFO": "/a/b"}, "/a/b"),
        ({"RAW_URI": "*", "PATH_INFO": "*", "REQUEST_METHOD": "OPTIONS"}, "/*"),
        ({"RAW_URI": "/m/a%2Fb", "SCRIPT_NAME": "/m", "PATH_INFO": "/a/b"}, "/a/b"),
        ({"PATH_INFO": "/caf\xc3\xa9 ?"}, "/caf%C3%A9%20%3F"),
        ({"PATH_INFO": "", "SCRIPT_NAME": "/m"}, "/"),
    ],
)
def test_the_path_comes_from_the_request_target(environ: dict[str, Any], path: str) -> None:
    seen: list[Any] = []
    app = HandlerApplication(lambda event, context: seen.append(event), Door("url"), "fn")
    assert Called(app, environ, checked=False).status == 200
    assert seen[0]["rawPath"] == path


def test_field_lines_as_they_were_sent() -> None:
    lines = (
        ("X-Probe", "1"),
        ("x-probe", "2"),
        ("X_Under", "3"),
        ("Content-Type", "text/x"),
        ("B", "\xc3\xa9"),
    )
    found = event_of("rest", **{FIELDS: lines, "HTTP_OTHER": "no"})["multiValueHeaders"]
    assert (found["X-Probe"], found["x-probe"], found["X_Under"]) == (["1"], ["2"], ["3"])
    assert found["Content-Type"] == ["text/x"]
    assert found["B"] == ["é"]
    assert "Other" not in found


def test_field_lines_from_an_environ() -> None:
    found = event_of("rest", HTTP_X_PROBE="1,2", CONTENT_TYPE="text/x", HTTP_B="\xff")["multiValueHeaders"]
    assert (found["X-Probe"], found["Content-Type"], found["B"]) == (["1,2"], ["text/x"], ["\xff"])


def test_a_handler_may_do_what_it_likes_with_its_event() -> None:
    def handler(event: Any, context: Any) -> Any:
        event.clear()
        return {"statusCode": 200, "body": "ok"}

    app = HandlerApplication(handler, Door("rest"), "fn")
    assert [Called(app, {}).body for _ in range(2)] == [b"ok", b"ok"]


def test_an_answer_that_is_shared_stays_as_it_is() -> None:
    answer = {"statusCode": 200, "headers": {"Date": "x", "Content-Length": "9"}, "body": "ok"}
    before = repr(answer)
    app = HandlerApplication(answering(answer), Door("rest"), "fn")
    assert [Called(app, {}).headers[0] for _ in range(3)] == [("x-amzn-Remapped-Date", "x")] * 3
    assert repr(answer) == before
