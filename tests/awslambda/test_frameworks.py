"""Applications of the frameworks people use, unchanged behind the front doors."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import fastapi
import flask
import pytest
from fastapi.responses import RedirectResponse, StreamingResponse

from tests.awslambda.applications import Context
from tests.awslambda.conftest import Handler
from tests.awslambda.front_doors import DOORS, Wire, answered
from tests.awslambda.runtime_api import SOURCE

FORM = Wire(
    method="POST",
    path="/form",
    fields=(("Content-Type", "application/x-www-form-urlencoded"),),
    body=b"name=Zo%C3%AB&note=a+b%2Bc",
)
BOUNDARY = "----x"
UPLOAD = Wire(
    method="POST",
    path="/upload",
    fields=(("Content-Type", f"multipart/form-data; boundary={BOUNDARY}"),),
    body=(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    + bytes(range(256))
    + f"\r\n--{BOUNDARY}--\r\n".encode(),
)
every_door = pytest.mark.parametrize("door", DOORS)


def flask_app() -> flask.Flask:
    """Return a Flask site."""
    app = flask.Flask(__name__)
    app.secret_key = "test"

    @app.post("/form")
    def form() -> dict[str, str]:
        return dict(flask.request.form)

    @app.post("/upload")
    def upload() -> dict[str, int]:
        return {"size": len(flask.request.files["file"].read())}

    @app.get("/")
    def index() -> Any:
        flask.session["seen"] = 1
        return flask.redirect(flask.url_for("page", name="café au lait"))

    @app.get("/page/<name>")
    def page(name: str) -> str:
        return f"<h1>{name}</h1> {flask.request.url} {flask.request.args.getlist('a')}"

    @app.get("/stream")
    def stream() -> Any:
        def pieces() -> Iterator[str]:
            yield from "abc"

        return flask.Response(pieces(), mimetype="text/plain")

    return app


def fastapi_app() -> fastapi.FastAPI:
    """Return the same site in FastAPI."""
    started = []

    @asynccontextmanager
    async def lifespan(app: fastapi.FastAPI) -> AsyncIterator[dict[str, Any]]:
        started.append(True)
        yield {"started": started}

    app = fastapi.FastAPI(lifespan=lifespan)

    @app.post("/form")
    async def form(request: fastapi.Request) -> dict[str, str]:
        return {name: str(value) for name, value in (await request.form()).items()}

    @app.post("/upload")
    async def upload(file: fastapi.UploadFile) -> dict[str, int]:
        return {"size": len(await file.read())}

    @app.get("/")
    async def index(request: fastapi.Request) -> RedirectResponse:
        response = RedirectResponse(str(request.url_for("page", name="café au lait")))
        response.set_cookie("seen", str(len(request.state.started)))
        return response

    @app.get("/page/{name}")
    def page(name: str, request: fastapi.Request) -> fastapi.Response:  # in a thread of the pool
        text = f"<h1>{name}</h1> {request.url} {request.query_params.getlist('a')}"
        return fastapi.Response(text, media_type="text/html")

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def pieces() -> AsyncIterator[str]:
            for letter in "abc":
                yield letter

        return StreamingResponse(pieces(), media_type="text/plain")

    return app


@pytest.fixture(params=["flask", "fastapi"])
def site(request: pytest.FixtureRequest, made: Handler) -> Any:
    """A handler over the site in one of the frameworks."""
    return made(flask_app() if request.param == "flask" else fastapi_app())


@every_door
def test_forms_and_uploads(door: str, site: Any) -> None:
    answer = answered(door, site(DOORS[door](FORM), Context()))
    assert (answer.status, json.loads(answer.body)) == (200, {"name": "Zoë", "note": "a b+c"})
    answer = answered(door, site(DOORS[door](UPLOAD), Context()))
    assert (answer.status, json.loads(answer.body)) == (200, {"size": 256})


@every_door
def test_redirects_name_the_public_address(door: str, site: Any) -> None:
    stage = "/prod" if door == "rest-api" else ""
    for _ in range(2):
        answer = answered(door, site(DOORS[door](Wire(path="/")), Context()))
        assert answer.status in (302, 307)
        assert answer.values("location")[0] in (
            f"{stage}/page/caf%C3%A9%20au%20lait",
            f"https://example.com{stage}/page/caf%C3%A9%20au%20lait",
        )
        assert len(answer.values("set-cookie")) == 1


@every_door
def test_pages(door: str, site: Any) -> None:
    answer = answered(door, site(DOORS[door](Wire(path="/page/caf%C3%A9", query="a=1&a=2")), Context()))
    assert answer.status == 200
    text = answer.body.decode()
    assert text.startswith("<h1>café</h1> https://example.com/")
    assert text.endswith("['2']" if door in ("alb-single", "vpc-lattice-v1") else "['1', '2']")


@every_door
def test_streams_are_gathered(door: str, site: Any) -> None:
    answer = answered(door, site(DOORS[door](Wire(path="/stream")), Context()))
    assert (answer.status, answer.body) == (200, b"abc")
    assert answered(door, site(DOORS[door](Wire(path="/nowhere")), Context())).status == 404


DJANGO = """
import json, sys
import django
from django.conf import settings
settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="x", ALLOWED_HOSTS=["*"], USE_X_FORWARDED_HOST=False)
django.setup()
from django.core.handlers.wsgi import WSGIHandler
from django.core.handlers.asgi import ASGIHandler
from django.http import JsonResponse
from django.urls import path

def form(request):
    files = {name: len(file.read()) for name, file in request.FILES.items()}
    return JsonResponse({**request.POST.dict(), **files, "path": request.build_absolute_uri()})

urlpatterns = [path("form", form), path("upload", form)]

from portway.awslambda import handler
from tests.awslambda.applications import Context
handlers = [handler(WSGIHandler()), handler(ASGIHandler())]
for event in json.load(sys.stdin):
    for one in handlers:
        answer = one(event, Context())
        print(json.dumps(answer))
for one in handlers:
    one.close()
"""


def test_django_both_ways(tmp_path: Any) -> None:
    events = [make(wire) for make in DOORS.values() for wire in (FORM, UPLOAD)]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", DJANGO],
        input=json.dumps(events),
        env={"PYTHONPATH": f"{SOURCE}:{':'.join(filter(None, sys.path))}:."},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = iter(done.stdout.splitlines())
    for door in DOORS:
        stage = "/prod" if door == "rest-api" else ""
        for name, found in (("form", {"name": "Zoë", "note": "a b+c"}), ("upload", {"file": 256})):
            for _ in range(2):
                answer = answered(door, json.loads(next(lines)))
                assert json.loads(answer.body) == {**found, "path": f"https://example.com{stage}/{name}"}, (
                    door
                )
