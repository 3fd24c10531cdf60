"""What front doors make of a function's answer, and what they refuse."""

from __future__ import annotations

import base64
import decimal
import http
import json
from typing import Any

import pytest

from portway.awslambda.front import BadAnswer, Door, HTTPRequest, read_answer, refusal
from portway.awslambda.front.door import Kind

GET = HTTPRequest("GET", "/", "", [("Host", "example.com"), ("Accept", "image/png, */*;q=0.8")])
KINDS: tuple[Kind, ...] = ("rest", "http", "url", "alb")
every_kind = pytest.mark.parametrize("kind", KINDS)


def fields_of(kind: Kind, answer: object, request: HTTPRequest = GET, **door: Any) -> list[tuple[str, str]]:
    """Return the field lines of a response."""
    return read_answer(Door(kind, **door), answer, request).fields


@every_kind
def test_the_plainest_answer(kind: Kind) -> None:
    response = read_answer(Door(kind), {"statusCode": 201, "body": "é"}, GET)
    assert (response.status, response.body) == (201, "é".encode())
    assert [name for name, _ in response.fields] == ["Content-Type"]


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        ("rest", "application/json"),
        ("http", "text/plain; charset=utf-8"),
        ("url", "application/json"),
        ("alb", "application/octet-stream"),
    ],
)
def test_the_content_type_that_a_door_adds(kind: Kind, content_type: str) -> None:
    assert fields_of(kind, {"statusCode": 200}) == [("Content-Type", content_type)]
    answer = {"statusCode": 200, "headers": {"content-type": "a/b"}, "multiValueHeaders": None}
    if kind == "alb":
        answer = {"statusCode": 200, "multiValueHeaders": {"content-type": ["a/b"]}}
    assert fields_of(kind, answer) == [("content-type", "a/b")]


@pytest.mark.parametrize("kind", ["http", "url"])
@pytest.mark.parametrize(
    ("answer", "body"),
    [
        ({"message": "hi"}, b'{"message": "hi"}'),
        ("Hello from Lambda!", b"Hello from Lambda!"),
        (["a", 1], b'["a", 1]'),
        (7, b"7"),
        (None, b"null"),
        ({"body": "x"}, b'{"body": "x"}'),
        (decimal.Decimal("1.5"), b"1.5"),
        ("", b""),
    ],
)
def test_payload_2_makes_a_response_of_anything(kind: Kind, answer: object, body: bytes) -> None:
    response = read_answer(Door(kind), answer, GET)
    assert response.status == 200
    assert response.fields == [("Content-Type", "application/json")]
    assert response.body == body


@pytest.mark.parametrize("kind", ["rest", "alb"])
@pytest.mark.parametrize("answer", [None, "text", 7, [], {}, {"body": "x"}])
def test_the_other_doors_do_not(kind: Kind, answer: object) -> None:
    with pytest.raises(BadAnswer):
        read_answer(Door(kind), answer, GET)


@every_kind
@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": None},
        {"statusCode": "abc"},
        {"statusCode": "²"},
        {"statusCode": True},
        {"statusCode": 200.0},
        {"statusCode": 99},
        {"statusCode": 101},
        {"statusCode": 600},
        {"statusCode": "9" * 5000},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "body": 7},
        {"statusCode": 200, "body": b"bytes"},
        {"statusCode": 200, "body": "\ud800"},
        {"statusCode": 200, "isBase64Encoded": "true"},
        {"statusCode": 200, "isBase64Encoded": 1},
        {"statusCode": 200, "body": "not base64!", "isBase64Encoded": True},
        {"statusCode": 200, "body": "YQ", "isBase64Encoded": True},
        {"statusCode": 200, "body": "é", "isBase64Encoded": True},
        (200, "body"),
    ],
)
def test_answers_that_are_none(kind: Kind, answer: Any) -> None:
    if kind in ("http", "url") and isinstance(answer, tuple):
        assert read_answer(Door(kind), answer, GET).body == b'[200, "body"]'
        return
    with pytest.raises(BadAnswer):
        read_answer(Door(kind), answer, GET)


HEADERS: list[Any] = [
    [],
    "x",
    {1: "x"},
    {"a": None},
    {"a": ["x"]},
    {"a": {"b": "c"}},
    {"a": b"x"},
    {"a": "x\r\nSet-Cookie: evil=1"},
    {"a": "x\ny"},
    {"a": "x\0"},
    {"": "x"},
    {"a b": "x"},
    {"a:": "x"},
    {"a\r\nb": "x"},
    {"é": "x"},
]


@every_kind
@pytest.mark.parametrize("headers", HEADERS)
def test_headers_that_are_none(kind: Kind, headers: Any) -> None:
    if headers == []:
        headers = ["a"]
    with pytest.raises(BadAnswer):
        read_answer(Door(kind, multi_value=False), {"statusCode": 200, "headers": headers}, GET)


@pytest.mark.parametrize("kind", ["rest", "alb"])
@pytest.mark.parametrize(
    "headers", [["a"], "x", {1: ["x"]}, {"a": "x"}, {"a": None}, {"a": [None]}, {"a": [["x"]]}, {"a": ["\r"]}]
)
def test_lists_of_headers_that_are_none(kind: Kind, headers: Any) -> None:
    with pytest.raises(BadAnswer):
        read_answer(Door(kind), {"statusCode": 200, "multiValueHeaders": headers}, GET)


@pytest.mark.parametrize("kind", ["http", "url"])
@pytest.mark.parametrize("cookies", ["a=b", {"a": "b"}, [1.5j], [None], ["a\nb"]])
def test_cookies_that_are_none(kind: Kind, cookies: Any) -> None:
    with pytest.raises(BadAnswer):
        read_answer(Door(kind), {"statusCode": 200, "cookies": cookies}, GET)


def test_numbers_and_truth_values_become_text() -> None:
    answer = {"statusCode": http.HTTPStatus.OK, "headers": {"X-N": 7, "X-T": True}}
    assert fields_of("rest", answer)[:2] == [("X-N", "7"), ("X-T", "true")]


def test_a_rest_api_takes_five_keys() -> None:
    with pytest.raises(BadAnswer, match="statusDescription"):
        read_answer(Door("rest"), {"statusCode": 200, "statusDescription": "200 OK"}, GET)


def test_a_rest_api_merges_the_two_objects() -> None:
    answer = {
        "statusCode": 200,
        "headers": {"Set-Cookie": "b=2", "X-A": "1"},
        "multiValueHeaders": {"set-cookie": ["a=1", "b=2"], "Content-Type": ["text/html"]},
    }
    assert fields_of("rest", answer) == [
        ("X-A", "1"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("Content-Type", "text/html"),
    ]


def test_payload_2_knows_cookies_and_no_lists() -> None:
    answer = {
        "statusCode": 200,
        "headers": {"Content-Type": "text/html"},
        "multiValueHeaders": {"X-A": ["1"]},
        "cookies": ["a=1; Path=/", "b=2"],
    }
    assert fields_of("http", answer)[1:] == [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2")]


def test_a_load_balancer_wants_its_own_mode() -> None:
    single = {"statusCode": 200, "headers": {"A": "1"}}
    multi = {"statusCode": 200, "multiValueHeaders": {"A": ["1", "2"]}}
    assert ("A", "2") in fields_of("alb", multi)
    assert ("A", "1") in fields_of("alb", single, multi_value=False)
    with pytest.raises(BadAnswer):
        fields_of("alb", single)
    with pytest.raises(BadAnswer):
        fields_of("alb", multi, multi_value=False)


def test_the_reason_phrase_is_a_load_balancer_s() -> None:
    answer = {"statusCode": 418, "statusDescription": "418 I'm a teapot"}
    assert read_answer(Door("alb"), answer, GET).reason == "I'm a teapot"
    evil = {"statusCode": 200, "statusDescription": "200 OK\r\nX: y"}
    assert read_answer(Door("alb"), evil, GET).reason == ""


def test_a_rest_api_renames_what_it_writes_itself() -> None:
    answer = {
        "statusCode": 401,
        "headers": {"WWW-Authenticate": "Basic", "Date": "today", "Connection": "close"},
    }
    assert fields_of("rest", answer)[:2] == [
        ("x-amzn-Remapped-WWW-Authenticate", "Basic"),
        ("x-amzn-Remapped-Date", "today"),
    ]
    assert ("WWW-Authenticate", "Basic") in fields_of("http", answer)
    assert not [name for name, _ in fields_of("http", answer) if name == "Connection"]


@every_kind
def test_a_length_is_the_door_s_except_for_head(kind: Kind) -> None:
    headers = {"Content-Length": "5"}
    answer: dict[str, Any] = {"statusCode": 200, "headers": headers, "body": "abc"}
    door = Door(kind, multi_value=False)
    assert "Content-Length" not in dict(read_answer(door, answer, GET).fields)
    response = read_answer(door, answer, HTTPRequest("HEAD"))
    assert (response.body, dict(response.fields)["Content-Length"]) == (b"", "5")
    headers["Content-Length"] = "-1"
    assert "Content-Length" not in dict(read_answer(door, answer, HTTPRequest("HEAD")).fields)


@every_kind
@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body(kind: Kind, status: int) -> None:
    response = read_answer(Door(kind), {"statusCode": status, "body": "x"}, GET)
    assert (response.body, response.fields) == (b"", [])


@pytest.mark.parametrize(
    ("accept", "decoded"),
    [
        ("image/png", True),
        ("image/png;q=1, text/html", True),
        ("text/html, image/png", False),
        ("*/*", False),
    ],
)
def test_a_rest_api_decodes_by_the_first_type_of_accept(accept: str, decoded: bool) -> None:
    answer = {"statusCode": 200, "body": base64.b64encode(b"\x89PNG").decode(), "isBase64Encoded": True}
    request = HTTPRequest("GET", "/", "", [("Accept", accept)])
    body = read_answer(Door("rest", binary_types=("image/png",)), answer, request).body
    assert (body == b"\x89PNG") is decoded
    assert read_answer(Door("rest"), answer, request).body == b"\x89PNG"


@pytest.mark.parametrize(
    ("kind", "size"), [("rest", 6 << 20), ("http", 6 << 20), ("url", 6 << 20), ("alb", 999_990)]
)
def test_answers_over_the_limit(kind: Kind, size: int) -> None:
    fits = {"statusCode": 200, "body": "a" * (size - 1000)}
    assert len(read_answer(Door(kind), fits, GET).body) == size - 1000
    with pytest.raises(BadAnswer, match="limit"):
        read_answer(Door(kind), {"statusCode": 200, "body": "a" * size + "a" * 200}, GET)
    # What JSON writes longer counts as JSON writes it.
    with pytest.raises(BadAnswer, match="limit"):
        read_answer(Door(kind), {"statusCode": 200, "body": '"' * (size // 2 + 200)}, GET)


@pytest.mark.parametrize("kind", ["http", "url"])
def test_an_implied_answer_over_the_limit(kind: Kind) -> None:
    with pytest.raises(BadAnswer, match="limit"):
        read_answer(Door(kind), {"data": "a" * (6 << 20) + "a" * 200}, GET)


@pytest.mark.parametrize("kind", ["http", "url"])
def test_an_implied_answer_that_json_cannot_write(kind: Kind) -> None:
    endless: list[Any] = []
    endless.append(endless)
    for answer in (b"bytes", {"when": object()}, {1, 2}, endless, iter(()), {("a",): 1}, "\ud800"):
        with pytest.raises(BadAnswer):
            read_answer(Door(kind), answer, GET)


@pytest.mark.parametrize(
    ("kind", "why", "status", "body"),
    [
        ("rest", "no-route", 403, b'{"message":"Missing Authentication Token"}'),
        ("rest", "malformed", 502, b'{"message": "Internal server error"}'),
        ("rest", "failed", 502, b'{"message": "Internal server error"}'),
        ("rest", "timeout", 504, b'{"message": "Endpoint request timed out"}'),
        ("rest", "too-large", 413, b'{"message":"Request Too Long"}'),
        ("http", "no-stage", 404, b'{"message":"Not Found"}'),
        ("http", "failed", 500, b'{"message":"Internal Server Error"}'),
        ("http", "too-large", 413, b'{"message":"Request Entity Too Large"}'),
        ("http", "timeout", 504, b'{"message":"Gateway Timeout"}'),
        ("url", "failed", 502, b"Internal Server Error"),
        ("url", "timeout", 504, b"Gateway Timeout"),
    ],
)
def test_what_a_door_says_itself(kind: Kind, why: Any, status: int, body: bytes) -> None:
    response = refusal(Door(kind), why, "id-1")
    assert (response.status, response.body) == (status, body)
    assert "id-1" in dict(response.fields).values()
    if kind != "url":
        assert json.loads(body)


@pytest.mark.parametrize(("why", "status"), [("failed", 502), ("timeout", 502), ("too-large", 413)])
def test_a_load_balancer_answers_with_a_page(why: Any, status: int) -> None:
    response = refusal(Door("alb"), why, "id-1")
    assert response.status == status
    assert response.body.startswith(f"<html>\r\n<head><title>{status} ".encode())
