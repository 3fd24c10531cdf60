"""The emulator's front door over real environments: what the service answers when the function does not."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from portway.awslambda.emulator.cors import CORS
from portway.awslambda.emulator.front import FrontDoor
from portway.awslambda.emulator.function import Function, command_of
from portway.awslambda.emulator.pool import Pool
from portway.awslambda.front import Door
from portway.awslambda.front.door import Kind

FN = """
import json, threading

ANSWERS = {
    "/plain": {"statusCode": 200, "headers": {"x-a": "b"}, "body": "hello"},
    "/text": "just text",
    "/none": None,
    "/no-status": {"body": "x"},
    "/bad-base64": {"statusCode": 200, "body": "!", "isBase64Encoded": True},
    "/injection": {"statusCode": 200, "headers": {"x-a": "b\\r\\nset-cookie: evil=1"}, "body": ""},
    "/strange": {"statusCode": 200, "headers": {}, "body": "", "unknown": 1},
    "/status": {"statusCode": 42, "body": ""},
}

def handler(event, context):
    path = event.get("rawPath") or event["path"]
    if path == "/slow":
        threading.Event().wait()
    if path == "/raise":
        raise ValueError("secret of the application")
    return stream() if path == "/no-prelude" else ANSWERS[path]

def stream():
    yield b"no prelude at all"
"""

Ask = Callable[..., tuple[int, dict[str, str], bytes]]


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Callable[..., Ask]]:
    """Make front doors over one function each."""
    (tmp_path / "fn.py").write_text(FN)
    pools: list[Pool] = []

    def make(kind: Kind, **options: Any) -> Ask:
        python, *client = command_of("portway", "fn.handler")
        command = (python, *options.pop("command", client))
        function = Function(command, "fn.handler", tmp_path, timeout_s=20)
        log: list[str] = []
        pools.append(Pool(function, log.append, limit=2))
        own = {name: options.pop(name) for name in ("stage",) if name in options}
        front = FrontDoor(Door(kind, **own), pools[-1], log.append, **options)

        def ask(path: str, method: str = "GET", body: bytes = b"", **fields: str) -> Any:
            seen: list[Any] = []
            environ = {
                "REQUEST_METHOD": method,
                "RAW_URI": path,
                "PATH_INFO": path,
                "SERVER_PROTOCOL": "HTTP/1.1",
                "SERVER_PORT": "80",
                "REMOTE_ADDR": "127.0.0.1",
                "CONTENT_LENGTH": str(len(body)),
                "wsgi.url_scheme": "http",
                "wsgi.input": io.BytesIO(body),
                "HTTP_HOST": "localhost",
                **{f"HTTP_{name.upper()}": value for name, value in fields.items()},
            }
            pieces = front(environ, lambda status, fields: seen.append((status, fields)))
            data = b"".join(pieces)
            status, headers = seen[0]
            return int(status[:3]), {name.lower(): value for name, value in headers}, data

        return ask

    yield make
    for pool in pools:
        pool.close()


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        ("rest", 504, '{"message": "Endpoint request timed out"}'),
        ("http", 504, '{"message":"Gateway Timeout"}'),
    ],
)
def test_a_function_that_takes_longer_than_the_door_waits(
    kind: Kind, status: int, message: str, door: Callable[..., Ask]
) -> None:
    ask = door(kind, timeout_s=0.3)
    assert ask("/plain")[0] in (200, 504)  # a cold start may take longer than that
    found, _, body = ask("/slow")
    assert (found, body.decode()) == (status, message)


@pytest.mark.parametrize("kind", ["rest", "http", "url", "alb"])
def test_answers_that_are_none(kind: Kind, door: Callable[..., Ask]) -> None:
    ask = door(kind)
    status, fields, body = ask("/plain")
    if kind != "alb":  # its target group has multi-value headers, and the answer has not
        assert (status, fields["x-a"], body) == (200, "b", b"hello")
    failed = 500 if kind == "http" else 502
    for path in ("/raise", "/bad-base64", "/injection", "/status"):
        status, fields, body = ask(path)
        assert status == failed, path
        assert b"secret" not in body and "set-cookie" not in fields
    if kind in ("rest", "alb"):
        assert [ask(path)[0] for path in ("/text", "/none", "/no-status")] == [502] * 3
    if kind == "rest":
        assert ask("/strange")[0] == 502


def test_what_is_outside_of_the_stage(door: Callable[..., Ask]) -> None:
    ask = door("http", stage="prod")
    status, _, body = ask("/plain")
    assert (status, json.loads(body)) == (404, {"message": "Not Found"})


@pytest.mark.parametrize("kind", ["url", "rest"])
def test_streams_that_are_none(kind: Kind, door: Callable[..., Ask]) -> None:
    ask = door(kind, streams=True)
    status, fields, body = ask("/no-prelude")  # no HTTP integration response: passed on as it is
    assert (status, fields["content-type"], body) == (200, "application/octet-stream", b"no prelude at all")
    status, fields, body = ask("/plain")  # a buffered answer shows its JSON
    assert (status, json.loads(body)["body"]) == (200, "hello")
    assert ask("/raise")[0] == 502


def test_a_body_over_the_limit_never_reaches_the_function(door: Callable[..., Ask]) -> None:
    ask = door("alb")
    assert ask("/plain", "POST", b"x" * 1_000_001)[0] == 413


def test_busy_environments_say_so(door: Callable[..., Ask]) -> None:
    ask = door("rest", timeout_s=0.3)
    assert [ask("/slow")[0] for _ in range(2)] == [504, 504]  # the door gave up, the functions have not
    status, fields, _ = ask("/plain")
    assert (status, fields["x-amzn-errortype"]) == (500, "InternalServerErrorException")


RAW = """
import http.client, os

PRELUDES = {
    "broken": b"{broken" + b"\\0" * 8,
    "list": b"[]" + b"\\0" * 8,
    "none": b'{"statusCode": 200}',
    "endless": b"x" * 2_000_000,
    "status": b'{"statusCode": "ok"}' + b"\\0" * 8,
    "name": b'{"statusCode": 200, "headers": {"a b": "c"}}' + b"\\0" * 8,
    "line": b'{"statusCode": 200, "headers": {"a": "b\\\\r\\\\nset-cookie: c=1"}}' + b"\\0" * 8,
    "good": b'{"statusCode": 201, "headers": {"x-a": "b"}, "cookies": ["a=1"]}' + b"\\0" * 8 + b"body",
}
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    response = api.getresponse()
    event = response.read().decode()
    answer = next(found for name, found in PRELUDES.items() if "/" + name in event)
    fields = {
        "Content-Type": "application/vnd.awslambda.http-integration-response",
        "Lambda-Runtime-Function-Response-Mode": "streaming",
        "Transfer-Encoding": "chunked",
    }
    number = response.getheader("Lambda-Runtime-Aws-Request-Id")
    path = "/2018-06-01/runtime/invocation/" + number + "/response"
    api.request("POST", path, iter([answer[:5], answer[5:]]), fields, encode_chunked=True)
    api.getresponse().read()
"""


def test_preludes_that_are_none(door: Callable[..., Ask], tmp_path: Path) -> None:
    (tmp_path / "raw.py").write_text(RAW)
    ask = door("url", streams=True, command=("raw.py",))
    for name in ("broken", "list", "none", "endless", "status", "name", "line"):
        assert ask(f"/{name}")[0] == 502, name
    assert ask("/good")[0] == 201
    assert ask("/good")[1:] == ({"x-a": "b", "set-cookie": "a=1"}, b"body")


def test_cors_as_the_services_do_it() -> None:
    cors = CORS(("https://a.example",), ("GET", "PUT"), ("x-a",), ("x-b",), 600, True)
    fields = dict(cors.preflight("OPTIONS", "https://a.example", "PUT") or [])
    assert fields == {
        "Access-Control-Allow-Origin": "https://a.example",
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Methods": "GET,PUT",
        "Access-Control-Allow-Headers": "x-a",
        "Access-Control-Expose-Headers": "x-b",
        "Access-Control-Max-Age": "600",
    }
    assert cors.preflight("OPTIONS", "https://b.example", "PUT") == []
    assert cors.preflight("OPTIONS", "https://a.example", "") is None
    assert cors.preflight("GET", "https://a.example", "PUT") is None
    own = [("content-type", "text/plain"), ("Access-Control-Allow-Origin", "*")]
    assert cors.applied(own, "https://b.example") == own[:1]
    assert CORS().applied(own, "https://b.example") == own
    anybody = CORS(("*",))
    assert anybody.added("https://b.example") == [("Access-Control-Allow-Origin", "*")]
    assert anybody.added("") == []
