"""Real applications behind validators: wsgiref's for WSGI, our own for ASGI. What they find is an error."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.engine.conftest import APPS, IMPORTING
from tests.engine.wire import Wire
from tests.support.processes import Portway

SERVED = {
    "wsgi-small": "wsgi_validated.py",
    "wsgi-site": "wsgi_validated.py",
    "wsgi-django": "wsgi_validated.py",
    "asgi-engine": "asgi_checked.py",
    "asgi-api": "asgi_checked.py",
    "asgi-django": "asgi_checked.py",
}
FORM = b"words=Bergen"
CHUNKED_FORM = b"5\r\nwords\r\n7\r\n=Bergen\r\n0\r\n\r\n"


@pytest.fixture(scope="module", params=SERVED)
def validated(request: pytest.FixtureRequest) -> Iterator[Portway]:
    """One of the applications, behind its validator."""
    name = request.param.partition("-")[2]
    env = {"VALIDATED": name, **IMPORTING}
    interface = request.param.partition("-")[0]
    with Portway(str(APPS / SERVED[request.param]), "--interface", interface, env=env) as server:
        yield server.ready()
        assert not re.search(r"Traceback|\berror:|Assertion|WSGIWarning", server.log), server.log


def request(method: str, path: str, *lines: str, version: str = "1.1") -> bytes:
    """Return a request without a body."""
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: 127.0.0.1", *lines, "", ""]).encode()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/?words=%C3%A9&a"),
        ("HEAD", "/"),
        ("GET", "/static/style.css"),
        ("HEAD", "/static/style.css"),
        ("GET", "/boats.json?words=tromso"),
        ("GET", "/no/such/caf%C3%A9"),
        ("OPTIONS", "/"),
        ("DELETE", "/"),
    ],
)
def test_requests(validated: Portway, method: str, path: str) -> None:
    with Wire(validated.address) as wire:
        for _ in range(3):
            wire.send(request(method, path))
            assert wire.final(method).status in (200, 403, 404, 405)
        wire.send(request(method, path, version="1.0"))
        assert wire.final(method).status in (200, 403, 404, 405)


def test_forms(validated: Portway) -> None:
    kind = "Content-Type: application/x-www-form-urlencoded"
    with Wire(validated.address) as wire:
        for framing, body in (("Content-Length: 12", FORM), ("Transfer-Encoding: chunked", CHUNKED_FORM)):
            wire.send(request("POST", "/", kind, framing) + body)
            assert wire.final().status in (200, 403)
        wire.send(request("POST", "/", kind, "Content-Length: 12", "Expect: 100-continue"))
        response = wire.response()
        if response.status == 100:
            wire.send(FORM)
            response = wire.final()
        assert response.status in (200, 403)
