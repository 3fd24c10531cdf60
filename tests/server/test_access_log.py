"""The access log's fields, what is left out of it, and what happens when its disk is full; request ids."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import Answer, Client, get
from tests.support.processes import Portway
from tests.support.waiting import wait_until

KINDS = ("wsgi.py", "asgi.py")
MADE = re.compile(r"[0-9a-f]{32}")


def lines(path: Path, count: int) -> list[str]:
    """Wait for so many lines of a log, and return them."""
    wait_until(lambda: path.read_text().count("\n") >= count, f"{count} lines in {path}")
    return path.read_text().splitlines()


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_with_gunicorns_letters(kind: str, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    form = '%(h)s "%(r)s" %(s)s %(U)s %(q)s %({X-One}i)s "%(f)s" %(p)s %(request_id)s'
    with Portway(kind, "--access-log", str(log), "--access-log-format", form) as server:
        (worker,) = server.ready().workers()
        with Client(server.address) as client:
            client.get("/a%20b?x=1&y", {"X-One": 'he said "no"\\'})
            client.get("/")
        first, second = lines(log, 2)
    assert first == (
        f'127.0.0.1 "GET /a%20b?x=1&y HTTP/1.1" 200 /a%20b x=1&y he said \\x22no\\x22\\x5c "-" {worker} -'
    )
    assert second == f'127.0.0.1 "GET / HTTP/1.1" 200 / - - "-" {worker} -'


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_of_fields_is_json(kind: str, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    form = "path,query,status,bytes,duration_us,header:x-one,user"
    with Portway(kind, "--access-log", str(log), "--access-log-format", form) as server:
        server.ready()
        size = len(get(server.address, "/umask?a=1").body)
        with Client(server.address) as client:
            client.send(b"nonsense\r\n\r\n")
            client.rest()
        first, second = (json.loads(line) for line in lines(log, 2))
    assert 0 < first.pop("duration_us") < 10_000_000
    assert first == {"path": "/umask", "query": "a=1", "status": 200, "bytes": size, "x-one": "", "user": ""}
    assert second == {
        **{"path": "", "query": "", "status": 400, "bytes": len(b"400 Bad Request\n")},
        **{"duration_us": 0, "x-one": "", "user": ""},
    }


def test_health_checks_are_left_out_unless_they_fail(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    args = ("--access-log", str(log), "--access-log-format", "target,status")
    exclude = (
        "--access-log-exclude",
        "/health",
        "--access-log-exclude",
        "/raise",
        "--access-log-exclude",
        "/in/*",
    )
    with Portway("wsgi.py", *args, *exclude) as server:
        server.ready()
        for path in ("/health", "/health?a=1", "/in/side", "/healthy", "/raise", "/in"):
            get(server.address, path)
        found = [json.loads(line)["target"] for line in lines(log, 3)]
    assert found == ["/healthy", "/raise", "/in"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_is_one_line_and_the_log_resumes(kind: str, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.symlink_to("/dev/full")
    with Portway(kind, "--access-log", str(log)) as server:
        server.ready()
        with Client(server.address) as client:
            for _ in range(20):
                assert client.get("/").status == 200
            server.wait_for("warning: the access log takes no lines: No space left on device")
            log.unlink()
            server.send(10)  # SIGUSR1: the rotation that an operator would do
            wait_until(log.exists, "the new file")
            assert client.get("/last").status == 200
        found = lines(log, 21)
        assert "/last" in found[-1]
        server.wait_for("warning: the access log takes lines again")
        assert server.log.count("the access log takes no lines") == 1


IDS = [
    ("abc-123_X.y~z:/+=@", True),
    ("a" * 128, True),
    ("a" * 129, False),
    ("", False),
    ("a b", False),
    ('a"b', False),
    ("a,b", False),
    ("<script>", False),
    ("\xe4", False),
]


@pytest.fixture(params=["wsgi", "asgi"])
def identified(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Portway, Path]]:
    """A server that gives ids, and its access log."""
    app, log = tmp_path / "app.py", tmp_path / "access.log"
    app.write_text(APPS[request.param])
    args = ("--request-id", "X-Request-ID", "--access-log", str(log), "--access-log-format", "json")
    with Portway(f"{app}:app", *args) as server:
        yield server.ready(), log


APPS = {
    "wsgi": """
def app(environ, start_response):
    if environ["PATH_INFO"] == "/raise":
        raise ValueError
    start_response("200 OK", [("Content-Type", "text/plain"), ("x-request-id", "its own")])
    return [environ["HTTP_X_REQUEST_ID"].encode()]
""",
    "asgi": """
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/raise":
        raise ValueError
    (value,) = [value for name, value in scope["headers"] if name == b"x-request-id"]
    headers = [(b"content-length", str(len(value)).encode()), (b"X-Request-Id", b"its own")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": value})
""",
}


@pytest.mark.parametrize(("given", "passed"), IDS)
def test_an_id_is_passed_on_when_it_is_harmless(
    identified: tuple[Portway, Path], given: str, passed: bool
) -> None:
    server, log = identified
    with Client(server.address) as client:
        answers = [client.get("/", {"X-Request-ID": given}) for _ in range(3)]
    for answer in answers:
        expect_id(answer, given if passed else None)
    found: list[dict[str, Any]] = [json.loads(line) for line in lines(log, 3)]
    assert [line["request_id"] for line in found] == [answer.body.decode() for answer in answers]


def expect_id(answer: Answer, given: str | None) -> None:
    """Check that the application and the client have the same id."""
    assert answer.headers["x-request-id"].encode() == answer.body
    assert answer.body.decode() == given if given else MADE.fullmatch(answer.body.decode())


def test_each_request_gets_its_own_id(identified: tuple[Portway, Path]) -> None:
    server, _ = identified
    with Client(server.address) as client:
        ids = {client.get("/").body for _ in range(600)}  # more than one pool of random bytes
    assert len(ids) == 600


def test_two_ids_are_none(identified: tuple[Portway, Path]) -> None:
    server, _ = identified
    with Client(server.address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: a\r\nx-request-id: b\r\n\r\n")
        expect_id(client.answer(), None)


def test_the_error_log_names_the_request(identified: tuple[Portway, Path]) -> None:
    server, _ = identified
    with Client(server.address) as client:
        answer = client.get("/raise", {"X-Request-ID": "the-one"})
    assert answer.status == 500
    assert answer.headers["x-request-id"] == "the-one"
    server.wait_for(r"the application failed at GET /raise \(request the-one\)")


def test_a_refused_request_has_no_id(identified: tuple[Portway, Path]) -> None:
    server, log = identified
    get(server.address, "/")
    with Client(server.address) as client:
        client.send(b"nonsense\r\n\r\n")
        assert b"x-request-id" not in client.rest().lower()
    assert [json.loads(line)["request_id"] for line in lines(log, 2)][1] == ""


def test_without_the_option_there_is_no_id() -> None:
    with Portway("wsgi.py") as server:
        server.ready()
        with Client(server.address) as client:
            assert "x-request-id" not in client.get("/", {"X-Request-ID": "a"}).headers


@pytest.mark.parametrize("name", ["Host", "content-length", "X_Id", "a b", "Set-Cookie"])
def test_a_field_that_means_something_else_is_refused(name: str) -> None:
    with Portway("wsgi.py", "--request-id", name, env=dict(os.environ)) as server:
        assert server.exit_code() == 1
        assert "error: --request-id must" in server.log
