"""`portway dev --as lambda`, `portway invoke` and `portway emulate` as their users run them."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.awslambda.peers import needs
from tests.support.waiting import Gate, wait_until

WAIT_S = 20.0

FLASK = """
import flask, os, sys, threading
app = flask.Flask(__name__)

@app.route("/echo/<path:path>", methods=["GET", "POST"])
def echo(path):
    request = flask.request
    return {"path": path, "query": request.query_string.decode(), "form": dict(request.form),
            "ip": request.remote_addr, "length": len(request.get_data())}

@app.get("/bytes")
def octets():
    return flask.Response(bytes(range(256)), content_type="image/png")

@app.get("/cookies")
def cookies():
    answer = flask.Response("hi")
    answer.set_cookie("a", "1")
    answer.set_cookie("b", "2")
    answer.headers["Access-Control-Allow-Origin"] = "https://of-the-application.example"
    return answer

@app.get("/large")
def large():
    return flask.Response(os.urandom(5_000_000), content_type="image/png")

@app.get("/crash")
def crash():
    os._exit(9)

@app.get("/hang")
def hang():
    threading.Event().wait()
    return ""
"""

FASTAPI = """
import fastapi
from contextlib import asynccontextmanager
started = 0
@asynccontextmanager
async def lifespan(app):
    global started
    started += 1
    yield
    open("ended", "w").close()
app = fastapi.FastAPI(lifespan=lifespan)
@app.get("/items/{name}")
async def item(name: str, q: int = 0):
    return {"name": name, "q": q, "started": started}
"""

STARLETTE = """
import fcntl
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

def passes(gate):
    with open(gate) as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # as soon as the test opens it

async def hello(request):
    return PlainTextResponse("hello " + request.path_params["name"])

async def events(request):
    async def made():
        yield b"data: first\\n\\n"
        passes("go-on")
        yield b"data: last\\n\\n"
    answer = StreamingResponse(made(), media_type="text/event-stream")
    answer.set_cookie("a", "1")
    return answer

async def breaks(request):
    async def made():
        yield b"some"
        raise RuntimeError("half way")
    return StreamingResponse(made())

async def large(request):
    async def made():
        for number in range(32):
            yield bytes([number]) * 262144
    return StreamingResponse(made())

app = Starlette(routes=[Route("/hello/{name}", hello), Route("/events", events),
                        Route("/breaks", breaks), Route("/large", large)])
"""

DJANGO = """
import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x")
def form(request):
    return JsonResponse({"post": request.POST.dict(), "get": request.GET.dict()})
urlpatterns = [path("form/", form)]
application = get_wsgi_application()
"""

HANDLER = """
import json, os
def mirror(event, context):
    return {"statusCode": 200, "body": json.dumps(event["multiValueHeaders"])}
def handler(event, context):
    if event.get("fail"):
        raise ValueError("as asked")
    if event.get("odd"):
        return b"\\x00\\xff"
    own = {name: os.environ.get(name) for name in ("OWN", "HOME")}
    return {"name": context.function_name, "event": event, **own}
"""


class Served:
    """A running `portway dev` or `portway emulate`. Ends with SIGINT."""

    def __init__(self, directory: Path, *arguments: str, **environ: str) -> None:
        self._log = directory / f"output-{len(list(directory.glob('output-*')))}"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "portway", *arguments, "-b", "127.0.0.1:0"],
                cwd=directory,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ["PATH"], "HOME": "/nowhere", **environ},
            )
        wait_until(lambda: self._port() or self.process.poll() is not None, "address")
        assert self._port(), self.log()
        self.port = int(self._port())

    def _port(self) -> str:
        found = re.search(r"http://127\.0\.0\.1:(\d+)\b", self.log())
        return found[1] if found else ""

    def log(self) -> str:
        """Return what it wrote."""
        return self._log.read_text()

    def at_rest(self) -> Served:
        """Wait until no event is under way: the next one needs no further environment."""
        wait_until(
            lambda: self.log().count("START RequestId") == self.log().count("REPORT RequestId"), "rest"
        )
        return self

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)

    def ask(
        self, path: str, method: str = "GET", body: bytes = b"", **fields: str
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Return the response to one request and its body."""
        connection = self.connect()
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        try:
            return response, response.read()
        finally:
            connection.close()

    def json(self, path: str, method: str = "GET", body: bytes = b"", **fields: str) -> Any:
        """Return the JSON of a 200."""
        response, found = self.ask(path, method, body, **fields)
        assert response.status == 200, (response.status, found, self.log())
        return json.loads(found)

    def end(self) -> int:
        """End it; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(WAIT_S)


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start servers that end with the test, in order."""
    started: list[Served] = []

    def run(*arguments: str, **environ: str) -> Served:
        for name, text in {"site_flask": FLASK, "site_fast": FASTAPI, "site_star": STARLETTE}.items():
            (tmp_path / f"{name}.py").write_text(text)
        (tmp_path / "site_django.py").write_text(DJANGO)
        (tmp_path / "fn.py").write_text(HANDLER)
        started.append(Served(tmp_path, *arguments, **environ))
        return started[-1]

    yield run
    for one in started:
        assert one.end() == 0, one.log()


@pytest.mark.parametrize("client", [pytest.param("aws", marks=needs("awslambdaric")), "portway"])
@pytest.mark.parametrize("door", ["rest", "http", "url", "alb"])
def test_flask_behind_every_door(door: str, client: str, serve: Serve) -> None:
    site = serve("dev", "site_flask:app", "--as", f"lambda:{door}", "--client", client)
    path = "/echo/a%20b" if door == "http" else "/echo/a%2520b"
    found = site.json(f"{path}?x=1&y=%2B&x=2")
    assert found["path"] == ("a b" if door == "http" else "a%20b")
    assert (found["query"], found["ip"]) == (
        "x=1&x=2&y=%2B" if door in ("rest", "alb") else "x=1&y=%2B&x=2",
        "127.0.0.1",
    )
    kind = "application/x-www-form-urlencoded"
    form = site.at_rest().json("/echo/form", "POST", b"a=1&b=%C3%A9", Content_Type=kind)
    assert form["form"] == {"a": "1", "b": "é"}
    response, body = site.at_rest().ask("/bytes", Accept="image/png")
    assert (response.getheader("content-type"), body) == ("image/png", bytes(range(256)))
    response, _ = site.at_rest().ask("/cookies")
    assert [value for name, value in response.getheaders() if name.lower() == "set-cookie"] == [
        "a=1; Path=/",
        "b=2; Path=/",
    ]
    response, _ = site.at_rest().ask("/nothing")
    assert response.status == 404
    assert site.log().count("INIT_START") == 1


def test_fastapi_and_its_lifespan(serve: Serve, tmp_path: Path) -> None:
    for _ in range(
        3
    ):  # Lambda gives a lifespan half a second to end in: not much on a machine that stands still
        site = serve("dev", "site_fast:app", "--as", "lambda:http", "--client", "portway")
        for number in range(3):
            assert site.json(f"/items/a?q={number}") == {"name": "a", "q": number, "started": 1}
        assert site.end() == 0
        if (tmp_path / "ended").exists():
            break
    assert (tmp_path / "ended").exists()


def test_django(serve: Serve) -> None:
    site = serve("dev", "site_django.py", "--as", "lambda:rest", "--api-stage", "prod")
    kind = "application/x-www-form-urlencoded"
    assert site.json("/prod/form/?q=1", "POST", b"a=1", Content_Type=kind)["post"] == {"a": "1"}
    response, body = site.ask("/form/")
    assert (response.status, json.loads(body)) == (403, {"message": "Forbidden"})


def test_starlette_streams_before_it_ends(serve: Serve, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "go-on")
    site = serve("dev", "site_star:app", "--as", "lambda:url", "--stream")
    assert site.ask("/hello/you")[1] == b"hello you"
    connection = site.connect()
    connection.request("GET", "/events")
    response = connection.getresponse()
    assert response.getheader("content-type", "").startswith("text/event-stream")
    assert response.getheader("set-cookie", "").startswith("a=1")
    assert response.read1() == b"data: first\n\n"
    gate.open()
    assert response.read() == b"data: last\n\n"
    connection.close()
    assert len(site.ask("/large")[1]) == 32 * 262144
    with pytest.raises(http.client.IncompleteRead):
        site.ask("/breaks")
    assert site.ask("/hello/you")[1] == b"hello you"


def test_a_stream_through_a_rest_api(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "go-on").touch()
    site = serve("dev", "site_star:app", "--as", "lambda:rest", "--stream")
    response, body = site.ask("/events")
    assert (response.status, body) == (200, b"data: first\n\ndata: last\n\n")


def test_limits_of_the_doors(serve: Serve) -> None:
    site = serve("dev", "site_flask:app", "--as", "lambda:http", "--function-timeout", "20")
    kind = "application/octet-stream"
    assert site.json("/echo/x", "POST", b"x" * 4_000_000, Content_Type=kind)["length"] == 4_000_000
    response, _ = site.ask("/echo/x", "POST", b"x" * 5_000_000, Content_Type=kind)  # over 6 MB as base64
    assert response.status == 413
    response, _ = site.ask("/echo/x", "POST", b"x" * (10 * 1024 * 1024 + 1), Content_Type=kind)
    assert response.status == 413
    response, body = site.ask("/large")  # the handler names the limit
    assert response.status == 500 and b"the limit of API Gateway HTTP API is" in body
    response, body = site.ask("/crash")
    assert (response.status, json.loads(body)) == (500, {"message": "Internal Server Error"})
    assert site.json("/echo/x")["path"] == "x"
    assert "Error Type: Runtime.ExitError" in site.log()


def test_the_time_limit_of_the_function(serve: Serve) -> None:
    options = ("--function-timeout", "1", "-e", "PORTWAY_DEADLINE_MARGIN=0")
    site = serve("dev", "site_flask:app", "--as", "lambda:http", *options)
    response, body = site.ask("/hang")
    assert (response.status, json.loads(body)) == (500, {"message": "Internal Server Error"})
    assert "Task timed out after 1.00 seconds" in site.log()
    wait_until(lambda: site.ask("/echo/x")[0].status == 200, "answer in time")


def test_cors_of_the_door(serve: Serve) -> None:
    origin = "https://a.example"
    site = serve(
        "dev", "site_flask:app", "--as", "lambda:http", "--cors-origin", origin, "--cors-credentials"
    )
    response, body = site.ask("/cookies", "OPTIONS", Origin=origin, Access_Control_Request_Method="PUT")
    assert (response.status, body) == (204, b"")
    assert response.getheader("access-control-allow-origin") == origin
    assert response.getheader("access-control-allow-methods") == "*"
    response, _ = site.ask("/cookies", Origin=origin)
    assert response.getheader("access-control-allow-origin") == origin
    assert response.getheader("access-control-allow-credentials") == "true"
    response, _ = site.ask("/cookies", Origin="https://other.example")
    assert response.getheader("access-control-allow-origin") is None
    assert "START" in site.log() and site.log().count("START RequestId") == 2  # no preflight reached it


def test_without_cors_the_application_answers(serve: Serve) -> None:
    site = serve("dev", "site_flask:app", "--as", "lambda:http")
    response, _ = site.ask("/cookies", Origin="https://a.example")
    assert response.getheader("access-control-allow-origin") == "https://of-the-application.example"


def test_binary_types_of_a_rest_api(serve: Serve) -> None:
    site = serve("dev", "site_flask:app", "--as", "lambda:rest", "--binary-media-types", "image/gif")
    _, body = site.ask("/bytes", Accept="image/png")
    assert body == base64.b64encode(bytes(range(256)))  # as API Gateway does when the type is not set


def test_throttled(serve: Serve) -> None:
    site = serve(
        "dev", "site_flask:app", "--as", "lambda:url", "--environments", "1", "--function-timeout", "5"
    )
    first = site.connect()
    first.request("GET", "/hang")
    wait_until(lambda: "START RequestId" in site.log(), "START line", WAIT_S)
    response, body = site.ask("/echo/x")
    assert (response.status, json.loads(body)["Reason"]) == (429, "ConcurrentInvocationLimitExceeded")
    assert late_status(site, first) == 504
    first.close()


def late_status(site: Served, asked: http.client.HTTPConnection) -> int:
    """Return the status for an application that hangs: the handler's own answer, just before the deadline.

    On a machine that stands still at that moment it is the door's; then another one is asked for.
    """
    status = asked.getresponse().status
    return status if status == 504 else site.ask("/hang")[0].status


def test_a_handler_of_ones_own_and_its_variables(serve: Serve) -> None:
    site = serve(
        "dev", "fn:handler", "--as", "lambda:url", "-e", "OWN", "--function-name", "shop", OWN="of the shell"
    )
    found = site.json("/x")
    assert (found["name"], found["OWN"], found["HOME"]) == ("shop", "of the shell", None)


CHALICE = """
from chalice import Chalice, Response
app = Chalice(app_name="shop")
print("printed while it is imported")

@app.route("/hello/{name}")
def hello(name):
    return {"hello": name, "query": app.current_request.query_params}

@app.route("/form", methods=["POST"], content_types=["application/x-www-form-urlencoded"])
def form():
    return Response(app.current_request.raw_body, headers={"Content-Type": "text/plain"})
"""


@needs("chalice")
def test_chalice_behind_a_rest_api(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(CHALICE)
    site = serve("dev", "shop:app", "--as", "lambda:rest")
    assert site.json("/hello/Ada?q=1") == {"hello": "Ada", "query": {"q": "1"}}
    kind = "application/x-www-form-urlencoded"
    assert site.ask("/form", "POST", b"a=1", Content_Type=kind)[1] == b"a=1"
    for method, path in (("GET", "/nothing"), ("PUT", "/form"), ("GET", "/hello/a/b")):
        response, body = site.ask(path, method)
        assert (response.status, json.loads(body)) == (403, {"message": "Missing Authentication Token"})
    done = run(tmp_path, "invoke", "shop:app", "--door", "rest", "--path", "/hello/Ada")
    assert json.loads(json.loads(done.stdout)["body"])["hello"] == "Ada"
    done = run(tmp_path, "invoke", "shop:app", "--path", "/nothing")
    assert done.returncode == 1
    assert "--path must be a path that a route of the application takes" in done.stderr
    for arguments in (
        ("invoke", "shop:app", "--door", "url", "--path", "/"),
        ("dev", "shop:app", "--as", "lambda:alb"),
    ):
        done = run(tmp_path, *arguments)
        assert done.returncode == 1
        assert "must be rest: a Chalice application understands no other events" in done.stderr


@needs("chalice")
def test_a_route_that_is_added_is_there_with_the_next_request(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(CHALICE)
    site = serve("dev", "shop:app", "--as", "lambda")
    assert site.ask("/new")[0].status == 403
    (tmp_path / "shop.py").write_text(f"{CHALICE}\nthis is no Python")
    assert site.ask("/new")[0].status == 403
    assert site.ask("/hello/Ada")[0].status == 502
    (tmp_path / "shop.py").write_text(f"{CHALICE}\napp.route('/new')(lambda: {{'new': 1}})")
    assert site.json("/new") == {"new": 1}


def test_several_events_at_once_and_extensions(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "opt").mkdir()
    path = tmp_path / "opt" / "mute"
    path.write_text("no program")
    site = serve("dev", "site_flask:app", "--as", "lambda", "--extensions", "opt")
    assert site.ask("/echo/x")[0].status == 502
    assert "Extension.LaunchError" in site.log()
    options = ("--max-concurrency", "2", "--environments", "1", "--function-timeout", "3")
    site = serve("dev", "site_flask:app", "--as", "lambda", *options)
    first = site.connect()
    first.request("GET", "/hang")
    assert site.json("/echo/x")["path"] == "x"
    assert late_status(site, first) == 504
    first.close()


def test_field_lines_arrive_one_by_one(serve: Serve) -> None:
    site = serve("dev", "fn:mirror", "--as", "lambda:rest")
    connection = site.connect()
    connection.putrequest("GET", "/x")
    for value in ("1", "2"):
        connection.putheader("x-MINE", value)
    connection.endheaders()
    found = json.loads(connection.getresponse().read())
    connection.close()
    assert found["x-MINE"] == ["1", "2"]


def test_changed_code_needs_no_restart(serve: Serve, tmp_path: Path) -> None:
    site = serve("dev", "fn:handler", "--as", "lambda")
    assert site.json("/x")["event"]["rawPath"] == "/x"
    (tmp_path / "fn.py").write_text("def handler(event, context): return 'new'")
    assert site.ask("/x")[1] == b"new"


def run(directory: Path, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    (directory / "fn.py").write_text(HANDLER)
    (directory / "site_flask.py").write_text(FLASK)
    command = [sys.executable, "-m", "portway", *arguments]
    env = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        command, cwd=directory, input=text, capture_output=True, text=True, timeout=WAIT_S, env=env
    )


def test_invoke_with_an_event(tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text('{"a": "é"}')
    done = run(tmp_path, "invoke", "fn:handler", "--event", "event.json", "-e", "OWN=1")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["event"], found["OWN"]) == ({"a": "é"}, "1")
    assert "REPORT RequestId" in done.stderr and "answered after" in done.stderr
    done = run(tmp_path, "invoke", "fn:handler", "--event", "-", text='{"fail": true}')
    assert done.returncode == 1
    assert json.loads(done.stdout)["errorMessage"] == "as asked"
    assert "failed after" in done.stderr


def test_invoke_in_a_stage(tmp_path: Path) -> None:
    (tmp_path / "portway.toml").write_text('[stages.prod.env]\nOWN = "prod"\nPATH = "/stage"\n')
    (tmp_path / "event.json").write_text("{}")
    done = run(tmp_path, "invoke", "fn:handler", "--event", "event.json", "--stage", "prod")
    assert json.loads(done.stdout)["OWN"] == "prod"
    done = run(tmp_path, "invoke", "fn:handler", "--event", "event.json", "--stage", "prd")
    assert (done.returncode, "did you mean prod?" in done.stderr) == (1, True)


@pytest.mark.parametrize("door", ["rest", "http", "url", "alb"])
def test_invoke_with_a_request(door: str, tmp_path: Path) -> None:
    arguments = (
        "invoke",
        "site_flask:app",
        "--door",
        door,
        "--path",
        "/echo/x?q=1",
        "-d",
        "a=1",
        "-H",
        "X-A: b",
    )
    done = run(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["statusCode"] == 200
    found = json.loads(answer["body"])
    assert (found["path"], found["query"], found["form"]) == ("x", "q=1", {"a": "1"})


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["invoke", "fn:handler"], "one event is needed"),
        (["invoke", "fn:handler", "--event", "a", "--path", "/x"], "one event is needed"),
        (["invoke", "fn:handler", "--event", "a", "-X", "PUT"], "--method conflicts with --event"),
        (["invoke", "fn:handler", "--event", "missing.json"], "cannot read 'missing.json'"),
        (["invoke", "fn:handler", "--path", "x"], "--path must begin with \"/\", not 'x'"),
        (["invoke", "fn:handler", "--path", "/", "-H", "x"], "--header must be 'Name: value', not 'x'"),
        (["invoke", "fn:handler", "--path", "/", "--memory", "1"], "--memory must be from 64 to 10240"),
        (["invoke", "fn:handler", "--path", "/", "--function-timeout", "0"], "--function-timeout must be"),
        (["invoke", "fn:handler", "--path", "/", "-e", "1A=2"], "--env must be NAME=value"),
        (["invoke", "fn:handler", "--path", "/", "-e", "NOT_SET"], "--env must name a variable that is set"),
        (["invoke", "nothing.py", "--path", "/"], "no file 'nothing.py'"),
        (
            ["invoke", "fn:make(1)", "--path", "/"],
            "a Lambda function cannot call 'fn:make(1)' with arguments",
        ),
        (["invoke", "--path", "/"], "no application is named"),
        (["dev", "fn:handler", "--stream"], "--stream needs --as lambda"),
        (["dev", "fn:handler", "--as", "lambda:nlb"], "--as must be lambda, or lambda: and one of"),
        (["dev", "fn:handler", "--as", "lambda:alb", "--stream"], "--stream conflicts with --as lambda:alb"),
        (["dev", "fn:handler", "--as", "lambda:url", "--api-stage", "x"], "--api-stage conflicts with"),
        (["dev", "fn:handler", "--as", "lambda", "--environments", "0"], "--environments must be from 1"),
        (["dev", "fn:handler", "--as", "lambda", "--no-multi-value-headers"], "--no-multi-value-headers c"),
        (
            ["invoke", "fn:handler", "--path", "/", "--extensions", "nowhere"],
            "--extensions must be a directory",
        ),
        (["invoke", "fn:handler", "--path", "/", "--max-concurrency", "0"], "--max-concurrency must be"),
    ],
)
def test_mistakes_are_named(arguments: list[str], text: str, tmp_path: Path) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 1, done.stderr
    assert done.stdout == "" and f"error: {text}" in done.stderr, done.stderr


@pytest.mark.parametrize("name", ["site.py", "my-app.py"])
def test_a_file_that_lambda_could_not_import(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(HANDLER)
    done = run(tmp_path, "invoke", f"{name}:handler", "--path", "/")
    assert done.returncode == 1 and "Lambda imports a module by its name" in done.stderr


def test_emulate_says_what_it_cannot_read(serve: Serve) -> None:
    emulated = serve("emulate", "fn:handler")
    path = "/2015-03-31/functions/function/invocations"
    assert emulated.json(path, "POST", b'{"a": 1}')["event"] == {"a": 1}
    assert emulated.ask("/other", "POST", b"{}")[0].status == 404
    assert emulated.ask(path, "POST", b"{}", X_Amz_Client_Context="!!")[0].status == 400
    assert emulated.ask(path, "POST", b" " * 6_291_557)[0].status == 413
    response, body = emulated.ask(path, "POST", b"not json")
    assert response.status == 200 and b"errorType" in body
    assert emulated.json(path, "POST", b"{}")["event"] == {}
