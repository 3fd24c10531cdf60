"""A Chalice application on `portway serve` and on `chalice local`: every difference has a reason."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import APPS, COMMAND, DEADLINE_S, Portway
from tests.support.waiting import wait_until

CHALICE = "from chalice.cli import main; main()"
PROJECT = APPS / "notes"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
OURS = {"date", "server", "x-amzn-requestid", "x-amzn-errortype", "content-length", "connection"}
"""Fields that a server writes itself, and may write differently."""


@dataclass(frozen=True)
class Got:
    """One response."""

    status: int
    fields: list[tuple[str, str]] = field(compare=False)
    body: bytes

    @property
    def own(self) -> list[tuple[str, str]]:
        """The application's fields, in an order that does not depend on the server."""
        return sorted((name.lower(), value) for name, value in self.fields if name.lower() not in OURS)

    @property
    def json(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.body)

    def value(self, name: str) -> str:
        """Return the value of a field, "" without one."""
        return next((value for key, value in self.fields if key.lower() == name), "")


class Served:
    """A server's address."""

    def __init__(self, port: int) -> None:
        self.port = port

    def get(
        self,
        path: str,
        headers: dict[str, str] | None = None,
        method: str = "GET",
        body: bytes | str | None = None,
    ) -> Got:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Got(response.status, response.getheaders(), response.read())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def portway() -> Iterator[Served]:
    """The project on Portway: two workers of four threads."""
    arguments = ("--chdir", str(PROJECT), "--workers", "2", "--api-key", "sesame")
    with Portway("app:app", *arguments) as server:
        yield Served(server.ready().address[1])
        assert "secret detail" not in "".join(line for line in server.lines if "HTTP" in line)
        assert server.stop() == 0


@pytest.fixture(scope="module")
def local() -> Iterator[Served]:
    """The project on `chalice local`."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    process = subprocess.Popen(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            CHALICE,
            "local",
            "--no-autoreload",
            "--port",
            str(port),
        ],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "AWS_DEFAULT_REGION": "us-east-1"},
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Serving on"):
                break
        else:
            raise AssertionError("chalice local did not start")
        yield Served(port)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def emulated() -> Iterator[Served]:
    """The project as a Lambda function behind its REST API, each authorizer a function of its own."""
    arguments = ("--as", "lambda", "--chdir", str(PROJECT), "--api-key", "sesame", "--memory", "512")
    command = [*COMMAND, "dev", "app:app", *arguments, "--function-timeout", "20", "-b", "127.0.0.1:0"]
    with Portway("", command=command) as server:
        yield Served(int(server.wait_for(r"rest: app:app .* on http://127\.0\.0\.1:(\d+)/")[1]))
        assert "rest: GET /signed refuses everybody here: IAM's signatures cannot be verified" in server.log
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(DEADLINE_S) == 0


SAME: dict[str, tuple[Any, ...]] = {
    "json": ("/",),
    "form": ("/form", FORM, "POST", "a=1&a=2&b=c+d%21&e="),
    "a-form-of-another-type": ("/form", JSON, "POST", "{}"),
    "json-body": ("/json", JSON, "POST", '{"a": ["ü"]}'.encode()),
    "json-put": ("/json", JSON, "PUT", "[]"),
    "json-that-is-none": ("/json", JSON, "POST", "{"),
    "html-with-cookies": ("/page",),
    "image": ("/image", {"Accept": "image/png"}),
    "image-nobody-asked-for": ("/image", {"Accept": "text/html"}),
    "upload": ("/upload", {"Content-Type": "application/octet-stream"}, "POST", b"\x00\xff\x80"),
    "upload-of-another-type": ("/upload", {"Content-Type": "text/plain"}, "POST", "x"),
    "query": ("/query?a=1&a=2&b=%C3%A9&plus=a+b",),
    "no-query": ("/query",),
    "parameter": ("/users/ann",),
    "encoded-parameter": ("/users/a%20b%2Fc",),
    "literal-before-parameter": ("/users/me",),
    "slash-at-the-end": ("/users/ann/",),
    "blueprint": ("/shelf/7",),
    "cors": ("/cors", {"Origin": "https://example.com"}),
    "preflight": ("/cors", {"Origin": "https://example.com"}, "OPTIONS"),
    "preflight-of-its-own": ("/cors/own", {}, "OPTIONS"),
    "own-cors": ("/cors/own",),
    "own-options": ("/options", {}, "OPTIONS"),
    "known-error": ("/bad",),
    "view-error": ("/view-error",),
    "crash": ("/crash",),
    "line-break-in-a-header": ("/inject",),
    "unknown-route": ("/nothing",),
    "no-token": ("/secret/1",),
    "token-for-another-route": ("/secret/2", {"Authorization": "some"}),
    "token-for-nothing": ("/secret/1", {"Authorization": "who"}),
    "authorizer-without-an-answer": ("/secret/1", {"Authorization": "nothing"}),
    "no-field-of-its-own": ("/keyed", {"Authorization": "shut"}),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_as_on_chalice_local(portway: Served, local: Served, name: str) -> None:
    if name == "no-field-of-its-own":
        # chalice local looks at Authorization whatever field the authorizer has named.
        assert (portway.get(*SAME[name]).status, local.get(*SAME[name]).status) == (401, 403)
        return
    ours, theirs = portway.get(*SAME[name]), local.get(*SAME[name])
    assert ours.status == theirs.status
    if "x-amzn-errortype" in {key.lower() for key, _ in ours.fields}:  # the door's own: spaces may differ
        assert ours.json == theirs.json
    else:
        assert ours.body == theirs.body
    # API Gateway's preflights have a type, although they have no body.
    own = [pair for pair in ours.own if not (name.startswith("preflight") and pair[0] == "content-type")]
    assert own == theirs.own


# Request, Portway's answer, chalice local's, and what API Gateway does.
DIFFERENT: dict[str, tuple[tuple[Any, ...], int, int | None, str]] = {
    "method-without-a-route": (
        ("/", {}, "DELETE"),
        403,
        405,
        "a method that a resource does not have is a missing token to API Gateway; Chalice is not reached",
    ),
    "head": (
        ("/", {}, "HEAD"),
        403,
        405,
        "HEAD is a method like any other, and Chalice declares no route for it",
    ),
    "options-without-cors": (
        ("/", {}, "OPTIONS"),
        403,
        200,
        "Chalice deploys a preflight for routes with CORS only",
    ),
    "unknown-route-with-a-field": (
        ("/nothing", {"Authorization": "x"}),
        403,
        403,
        "the text of the 403 is about a signature there; both refuse",
    ),
    "an-explicit-deny": (
        ("/secret/1", {"Authorization": "both"}),
        403,
        200,
        "IAM: a Deny wins over an Allow; chalice local reads Allow only",
    ),
    "deny": (("/secret/1", {"Authorization": "deny"}), 403, 403, "the text says that it was explicit"),
    "unauthorized": (
        ("/secret/1", {"Authorization": "unauthorized"}),
        401,
        None,
        "an authorizer says 401 by raising Exception('Unauthorized'); chalice local drops the connection",
    ),
    "authorizer-raises": (("/secret/1", {"Authorization": "fails"}), 500, None, "500, not a lost connection"),
    "authorizer-s-nonsense": (
        ("/secret/1", {"Authorization": "nonsense"}),
        500,
        403,
        "an answer without a policy is a failure of the authorizer",
    ),
    "nested-context": (
        ("/secret/1", {"Authorization": "nested"}),
        500,
        200,
        "an authorizer's context may not be nested",
    ),
    "own-field": (("/keyed", {"X-Key": "open"}), 200, 401, "the field is the authorizer's to name"),
    "user-pool": (
        ("/pool", {"Authorization": "a.b.c"}),
        401,
        None,
        "a token that is none; chalice local crashes",
    ),
    "no-user-pool-token": (("/pool",), 401, 200, "chalice local lets everybody in"),
    "iam": (("/signed",), 403, 200, "chalice local lets everybody in"),
    "iam-signed": (
        ("/signed", {"Authorization": "AWS4-HMAC-SHA256 Credential=a"}),
        403,
        200,
        "a signature cannot be verified without the secret; nobody is let in unverified",
    ),
    "api-key-missing": (("/api-key",), 403, 200, "chalice local asks for no key"),
    "api-key-wrong": (("/api-key", {"X-Api-Key": "sesam"}), 403, 200, "chalice local asks for no key"),
    "exit": (
        ("/exit",),
        502,
        None,
        "the environment ends, the client gets a 502; chalice local ends its thread",
    ),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_different_from_chalice_local(portway: Served, local: Served, name: str) -> None:
    request, status, other, _ = DIFFERENT[name]
    assert portway.get(*request).status == status
    if other is None:
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            local.get(*request)
    else:
        assert local.get(*request).status == other


@pytest.mark.parametrize("name", [*SAME, *DIFFERENT])
def test_the_same_as_on_the_emulator(portway: Served, emulated: Served, name: str) -> None:
    request = SAME[name] if name in SAME else DIFFERENT[name][0]
    ours, theirs = portway.get(*request), emulated.get(*request)
    assert (ours.status, ours.body, ours.own) == (theirs.status, theirs.body, theirs.own)


def test_an_api_key(portway: Served, emulated: Served) -> None:
    for served in (portway, emulated):
        assert served.get("/api-key", {"X-Api-Key": "sesame"}).body == b"in"


def test_what_an_authorizer_finds_out_is_text(portway: Served, emulated: Served) -> None:
    for served in (portway, emulated):
        found = served.get("/secret/1", {"Authorization": "allow"})
        assert found.json == {"level": "7", "admin": "true", "principalId": "ann"}


@pytest.mark.parametrize("path", ["/secret/1", "/secret/1/", "/%73ecret/1", "/secret/%31"])
@pytest.mark.parametrize("token", ["deny", "both"])
def test_no_spelling_of_a_path_gets_around_a_deny(portway: Served, path: str, token: str) -> None:
    assert portway.get(path, {"Authorization": token}).status == 403


def test_the_right_to_one_method_is_not_one_to_another(portway: Served) -> None:
    assert portway.get("/secret/1", {"Authorization": "some"}).status == 200
    assert portway.get("/secret/1", {"Authorization": "some", **JSON}, "POST", "{}").status == 403


def test_errors_tell_nothing_internal(portway: Served) -> None:
    for request in (("/crash",), ("/secret/1", {"Authorization": "fails"})):
        assert b"secret detail" not in portway.get(*request).body


def test_the_context(portway: Served) -> None:
    found = portway.get("/context").json
    assert 0 < found.pop("left") <= 900_000
    assert found == {"stage": "api", "path": "/context", "resource": "/context", "function": "app"}


def test_a_stage_in_the_path() -> None:
    with Portway("app:app", "--chdir", str(PROJECT), "--api-stage", "live") as server:
        served = Served(server.ready().address[1])
        assert served.get("/live/").json == {"hello": "wörld"}
        assert served.get("/live/context").json["path"] == "/live/context"
        assert served.get("/live/context").json["stage"] == "live"
        assert served.get("/context").status == 403
        assert served.get("/liver/context").status == 403


def test_an_image_for_a_client_that_does_not_ask_for_it_first(portway: Served) -> None:
    # API Gateway decodes by the first type of Accept, so a browser gets base64 here as it does there …
    found = portway.get("/image", {"Accept": "image/avif,image/png,*/*;q=0.8"})
    assert found.body == b"iVBORw0KGgoA/w=="
    # … unless every type is binary.
    with Portway("app:app", "--chdir", str(PROJECT), "--binary-media-types", "*/*") as server:
        served = Served(server.ready().address[1])
        assert served.get("/image", {"Accept": "image/avif,*/*;q=0.8"}).body == b"\x89PNG\r\n\x1a\n\x00\xff"


@pytest.mark.parametrize("timeout", [(), ("--function-timeout", "20")])
def test_threads_do_not_see_each_other_s_requests(timeout: tuple[str, ...]) -> None:
    with Portway("app:app", "--chdir", str(PROJECT), "--threads", "4", *timeout) as server:
        served = Served(server.ready().address[1])
        with ThreadPoolExecutor(4) as pool:
            for _ in range(5):
                names = ["ann", "bo", "cy", "di"]
                found = list(pool.map(lambda name: served.get(f"/meet/{name}", {"X-Name": name}).json, names))
                assert found == [{"name": n, "before": n, "after": n, "header": n} for n in names]


def test_a_handler_that_takes_too_long() -> None:
    # One of four that should meet waits alone.
    arguments = ("--chdir", str(PROJECT), "--threads", "2", "--function-timeout", "0.2")
    with Portway("app:app", *arguments) as server:
        served = Served(server.ready().address[1])
        found = served.get("/meet/ann", {"X-Name": "ann"})
        assert (found.status, found.json) == (504, {"message": "Endpoint request timed out"})
        # A fifth of a second is short for a quick answer, too, on a machine that stands still.
        wait_until(lambda: served.get("/").status == 200, "answer in time")
        server.wait_for("took longer than 0.2 s and was answered without the handler, which goes on")
        assert server.stop() == 0


@pytest.mark.parametrize("size", [(10 << 20) + 1])
def test_a_body_over_the_limit(portway: Served, size: int) -> None:
    found = portway.get("/form", FORM, "POST", b"a" * size)
    assert (found.status, found.json) == (413, {"message": "Request Too Long"})


def test_a_query_of_every_kind_is_decoded_once(portway: Served) -> None:
    query = urllib.parse.urlencode({"a": "%25 +&=é"})
    assert portway.get(f"/query?{query}&b").json == {"a": ["%25 +&=é"], "b": [""]}


def test_the_project_is_a_real_one() -> None:
    assert (PROJECT / ".chalice" / "config.json").is_file()
    assert Path(PROJECT / "app.py").is_file()
