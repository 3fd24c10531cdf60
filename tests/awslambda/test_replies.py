"""The application's answer reaches the client through every front door, in that door's own format."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from portway.awslambda.adapter import LambdaHandler
from tests.awslambda.applications import Application, Context
from tests.awslambda.conftest import Handler
from tests.awslambda.front_doors import DOORS, Answer, Wire, answered

every_door = pytest.mark.parametrize("door", DOORS)


def through(door: str, handler: LambdaHandler, wire: Wire | None = None) -> Answer:
    """Return the client's view of one exchange."""
    return answered(door, handler(DOORS[door](wire or Wire()), Context()))


@every_door
def test_status_fields_and_body(door: str, lambda_handler: LambdaHandler, application: Application) -> None:
    application.status = 404
    application.headers = [("Content-Type", "text/html; charset=utf-8"), ("X-Twice", "a"), ("X-Twice", "b")]
    application.body = "<h1>Nicht da – 404</h1>".encode()
    answer = through(door, lambda_handler)
    assert (answer.status, answer.body) == (404, application.body)
    assert answer.values("content-type") == ["text/html; charset=utf-8"]
    assert ", ".join(answer.values("x-twice")) == "a, b"


@every_door
def test_every_cookie_arrives(door: str, lambda_handler: LambdaHandler, application: Application) -> None:
    cookies = [f"c{number}={number}; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/" for number in range(5)]
    application.headers += [("Set-Cookie", cookie) for cookie in cookies]
    assert through(door, lambda_handler).values("set-cookie") == cookies


@every_door
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("image/png", b"\x89PNG\r\n\x1a\n\0"),
        ("application/octet-stream", b"ascii too"),
        ("text/plain; charset=iso-8859-1", "Zoë".encode("latin-1")),
        ("text/plain; charset=utf-16", "Zoë".encode("utf-16")),
        ("application/json", b'{"a": "\xc3\xa9\\u0000"}'),
        ("application/problem+json", b"{}"),
        ("image/svg+xml", b"<svg/>"),
        ("", b"no type"),
        ("", b"\xff no type"),
        ("text/plain", b"\0\x01 control"),
    ],
)
def test_every_body_arrives_byte_for_byte(
    door: str, kind: str, body: bytes, lambda_handler: LambdaHandler, application: Application
) -> None:
    application.headers = [("Content-Type", kind)] if kind else []
    application.body = body
    assert through(door, lambda_handler).body == body


@every_door
def test_an_encoded_body_arrives_as_it_is(
    door: str, lambda_handler: LambdaHandler, application: Application
) -> None:
    application.headers = [("Content-Type", "text/plain"), ("Content-Encoding", "gzip")]
    application.body = gzip.compress(b"hello", mtime=0)
    answer = through(door, lambda_handler)
    assert (answer.body, answer.values("content-encoding")) == (application.body, ["gzip"])


def test_text_travels_as_text(made: Handler, application: Application) -> None:
    application.headers = [("Content-Type", "application/vnd.api+json")]
    answer = made(application.wsgi)(DOORS["http-api"](Wire()), Context())
    assert (answer["body"], answer["isBase64Encoded"]) == ("ok", False)


@every_door
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_no_body_where_http_allows_none(
    door: str, method: str, status: int, lambda_handler: LambdaHandler, application: Application
) -> None:
    application.status = status
    application.headers = [("ETag", '"x"'), ("Content-Length", "2")]
    answer = through(door, lambda_handler, Wire(method=method))
    assert (answer.status, answer.body) == (status, b"")
    assert answer.values("content-length") == ([] if status == 204 or door == "lambda-edge" else ["2"])


@every_door
def test_connection_fields_end_at_the_function(
    door: str, lambda_handler: LambdaHandler, application: Application
) -> None:
    application.headers += [("Connection", "close"), ("Keep-Alive", "5"), ("Transfer-Encoding", "chunked")]
    answer = through(door, lambda_handler)
    assert answer.body == b"ok"
    assert not {"connection", "keep-alive", "transfer-encoding"} & {name for name, _ in answer.fields}


@every_door
def test_field_values_leave_as_the_text_their_octets_are(
    door: str, lambda_handler: LambdaHandler, application: Application
) -> None:
    application.headers += [("X-Name", "Zoë".encode().decode("latin-1")), ("X-Old", "\xe9")]
    answer = through(door, lambda_handler)
    assert (answer.values("x-name"), answer.values("x-old")) == (["Zoë"], ["é"])


@every_door
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Evil", "a\r\nSet-Cookie: admin=1"),
        ("X-Evil", "a\nb"),
        ("X-Evil", "a\rb"),
        ("X-Evil", "a\0b"),
        ("X-Evil\r\nX: y", "a"),
        ("X Evil", "a"),
        ("", "a"),
        ("X-\xe9", "a"),
    ],
)
def test_injected_headers_are_refused(
    door: str,
    name: str,
    value: str,
    lambda_handler: LambdaHandler,
    application: Application,
    caplog: pytest.LogCaptureFixture,
) -> None:
    application.headers.append((name, value))
    answer = through(door, lambda_handler)
    assert (answer.status, answer.body) == (500, b"Internal Server Error\n")
    assert "admin" not in str(answer.fields)
    assert "header" in caplog.text
    application.headers.pop()
    assert through(door, lambda_handler).status == 200


@pytest.mark.parametrize("status", [0, 99, 101, 199, 600, 999])
def test_a_status_that_is_no_final_one_is_refused(
    status: int, lambda_handler: LambdaHandler, application: Application
) -> None:
    application.status = status
    assert through("http-api", lambda_handler).status == 500


@pytest.mark.parametrize("length", ["1", "3", "-2", "two", " 2"])
def test_a_length_that_lies_is_refused(
    length: str, lambda_handler: LambdaHandler, application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    application.headers.append(("Content-Length", length))
    assert through("rest-api", lambda_handler).status == 500
    assert "content-length" in caplog.text


def test_answers_carry_the_ids_of_their_log_lines(
    lambda_handler: LambdaHandler, application: Application
) -> None:
    wire = Wire(fields=(("X-Amzn-Trace-Id", "Root=1-5bdb40ca-556d8b0c50dc66f0511bf520"),))
    answer = through("function-url", lambda_handler, wire)
    assert answer.values("x-request-id") == ["req-1"]
    assert answer.values("x-amzn-trace-id") == ["Root=1-5bdb40ca-556d8b0c50dc66f0511bf520"]
    application.headers.append(("X-Request-ID", "mine"))
    assert through("alb-multi", lambda_handler, wire).values("x-request-id") == ["mine"]


def test_the_ids_can_be_left_out(made: Handler, application: Application) -> None:
    answer = made(application.wsgi, id_headers=False)(DOORS["http-api"](Wire()), Context())
    assert answer["headers"] == {"content-type": "text/plain"}


def test_status_description_is_for_load_balancers_alone(made: Handler, application: Application) -> None:
    handler = made(application.wsgi)
    answers: dict[str, Any] = {door: handler(DOORS[door](Wire()), Context()) for door in DOORS}
    assert {door for door, answer in answers.items() if "statusDescription" in answer} == {
        "alb-multi",
        "alb-single",
        "lambda-edge",
    }
    assert answers["alb-multi"]["statusDescription"] == "200 Status"


def test_asgi_answers_an_alb_with_the_usual_phrase(made: Handler, application: Application) -> None:
    application.status = 404
    answer = made(application.asgi, lifespan="off")(DOORS["alb-multi"](Wire()), Context())
    assert answer["statusDescription"] == "404 Not Found"


def test_an_edge_answer_leaves_out_what_cloudfront_reserves(made: Handler, application: Application) -> None:
    application.headers += [("Via", "x"), ("X-Edge-Location", "y"), ("X-Cache", "z"), ("X-Fine", "1")]
    answer = made(application.wsgi)(DOORS["lambda-edge"](Wire()), Context())
    assert answer["status"] == "200"
    assert set(answer["headers"]) == {"content-type", "x-fine", "x-request-id"}
