"""Portway's runtime client against a Runtime API on a socket, in a process of its own."""

from __future__ import annotations

import base64
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from portway.awslambda.errors import RuntimeAPIError
from portway.awslambda.runtime.api import RuntimeAPI
from tests.awslambda.front_doors import Wire, answered, function_url, http_api, rest
from tests.awslambda.functions import FN
from tests.awslambda.runtime_api import Function, Posted, RuntimeAPIServer
from tests.support.waiting import Gate, wait_until

Start = Callable[..., Function]


@pytest.fixture
def api() -> Iterator[RuntimeAPIServer]:
    """A Runtime API."""
    with RuntimeAPIServer() as server:
        yield server


@pytest.fixture
def start(api: RuntimeAPIServer, tmp_path: Path) -> Iterator[Start]:
    """Start functions that end with the test."""
    (tmp_path / "fn.py").write_text(FN)
    started: list[Function] = []

    def run(target: str = "", **environ: str) -> Function:
        command = ["-m", "portway.awslambda", *([target] if target else [])]
        function = Function(tmp_path, api, command, **environ)
        started.append(function)
        return function.__enter__()

    yield run
    for function in started:
        function.__exit__(None, None, None)


def prelude(posted: Posted) -> dict[str, Any]:
    """Return the prelude of a streamed answer, after checking the protocol around it."""
    assert posted.path.endswith("/response")
    assert posted.headers["lambda-runtime-function-response-mode"] == "streaming"
    assert posted.headers["content-type"] == "application/vnd.awslambda.http-integration-response"
    assert posted.headers["connection"] == "close"
    assert (
        posted.headers["trailer"] == "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body"
    )
    head, nul, _ = posted.body.partition(b"\0" * 8)
    assert nul
    found = json.loads(head)
    assert isinstance(found, dict)
    return found


def streamed_body(posted: Posted) -> bytes:
    """Return the body behind the prelude."""
    return posted.body.partition(b"\0" * 8)[2]


def test_a_wsgi_application(api: RuntimeAPIServer, start: Start) -> None:
    start("fn:app")
    for number in range(3):
        posted = api.ask(http_api(Wire(path=f"/{number}", query="a=1")))
        assert posted.headers["content-type"] == "application/json"
        answer = answered("http-api", posted.json())
        assert (answer.status, answer.body) == (200, f"GET /{number} a=1".encode())
        assert answer.values("set-cookie") == ["a=1", "b=2"]
    assert api.calls.count("GET invocation/next") in (3, 4)


@pytest.mark.parametrize(
    "environ",
    [
        {"_HANDLER": "fn.wsgi"},
        {"_HANDLER": "fn.app"},
        {"_HANDLER": "portway.awslambda.main", "PORTWAY_APP": "fn:app"},
        {"PORTWAY_APP": "fn:app"},
    ],
)
def test_what_to_run_comes_from_the_environment(
    environ: dict[str, str], api: RuntimeAPIServer, start: Start
) -> None:
    start(**environ)
    assert answered("rest-api", api.ask(rest(Wire(path="/x"))).json()).status == 200


def test_the_wrapper_script_of_zip_functions(api: RuntimeAPIServer, tmp_path: Path) -> None:
    import subprocess
    import sys

    import portway.awslambda

    (tmp_path / "fn.py").write_text(FN)
    script = Path(portway.awslambda.__file__).with_name("exec-wrapper")
    assert os.access(script, os.X_OK)
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "LAMBDA_TASK_ROOT": str(tmp_path),
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "_HANDLER": "fn.asgi",
        "PORTWAY_RESPONSE_MODE": "stream",
    }
    # What Lambda passes: the interpreter, and its own client's script.
    process = subprocess.Popen([str(script), sys.executable, "/var/runtime/bootstrap.py"], env=environ)
    try:
        assert prelude(api.ask(function_url(Wire())))["statusCode"] == 200
    finally:
        process.kill()
        process.wait()


def test_the_context_object(api: RuntimeAPIServer, start: Start) -> None:
    start("fn:plain")
    client = {"client": {"app_title": "title"}, "custom": {"a": 1}}
    posted = api.ask(
        {"do": "context"},
        Lambda_Runtime_Client_Context=json.dumps(client),
        Lambda_Runtime_Cognito_Identity=json.dumps(
            {"cognitoIdentityId": "id", "cognitoIdentityPoolId": "pool"}
        ),
        Lambda_Runtime_Aws_Tenant_Id="blue",
    )
    answer = posted.json()
    assert answer == {
        "id": posted.path.split("/")[1],
        "arn": "arn:aws:lambda:eu-central-1:123456789012:function:f",
        "name": "f",
        "remaining": True,
        "trace": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1",
        "identity": "id",
        "client": {"a": 1},
        "title": "title",
        "tenant": "blue",
    }
    answer = api.ask({"do": "context"}).json()
    assert (answer["identity"], answer["client"], answer["tenant"]) == (None, None, None)


def test_results_of_plain_functions(api: RuntimeAPIServer, start: Start) -> None:
    start("fn:plain")
    assert api.ask({"do": "text"}).body.decode() == '"ä😀"'
    assert api.ask({"do": "decimal"}).json() == {"n": 7, "f": 0.5}
    assert api.ask({"do": "bytes"}).body == b"raw"
    assert api.ask([1, None]).json() == {"event": [1, None]}


def test_failures_are_reported_and_the_next_event_works(api: RuntimeAPIServer, start: Start) -> None:
    function = start("fn:plain")
    posted = api.ask({"do": "raise"})
    assert posted.path.endswith("/error")
    assert posted.headers["lambda-runtime-function-error-type"] == "ValueError"
    error = posted.json()
    assert (error["errorType"], error["errorMessage"]) == ("ValueError", "bad ä thing")
    assert error["requestId"] == posted.path.split("/")[1]
    assert len(error["stackTrace"]) == 1 and "fn.py" in error["stackTrace"][0]
    cause = json.loads(posted.headers["lambda-runtime-function-xray-error-cause"])
    assert cause["exceptions"][0]["type"] == "ValueError"
    assert api.ask({"do": "exit"}).json()["errorType"] == "SystemExit"
    assert api.ask({"do": "set"}).json()["errorType"] == "Portway.BadResult"
    assert api.ask(b"{not json").json()["errorType"] == "JSONDecodeError"
    assert api.ask({"fine": 1}, Lambda_Runtime_Client_Context="{").json()["errorType"] == "JSONDecodeError"
    assert api.ask({"fine": 1}).json() == {"event": {"fine": 1}}
    assert function.process.poll() is None


@pytest.mark.parametrize(
    "event",
    [b"", b"not json", b'{"a": "\xff"}', b'{"a": 1', b"[" * 200_000, b'{"a": "\\ud800"}'],
    ids=["empty", "words", "no UTF-8", "cut", "deep", "half a pair"],
)
def test_events_that_cannot_be_read(event: bytes, api: RuntimeAPIServer, start: Start) -> None:
    function = start("fn:wsgi")
    assert api.ask(event).path.endswith("/error")
    assert answered("http-api", api.ask(http_api(Wire())).json()).status == 200
    assert function.process.poll() is None


@pytest.mark.parametrize("name", ["Lambda_Runtime_Client_Context", "Lambda_Runtime_Cognito_Identity"])
def test_a_context_that_cannot_be_read(name: str, api: RuntimeAPIServer, start: Start) -> None:
    start("fn:plain")
    assert api.ask({}, **{name: "{not json"}).path.endswith("/error")
    assert api.ask({"n": 1}).json() == {"event": {"n": 1}}


def test_an_event_that_belongs_to_nobody(api: RuntimeAPIServer, start: Start) -> None:
    start("fn:app")
    posted = api.ask({"hello": "world"})
    assert posted.json()["errorType"] == "Portway.UnknownEvent"
    assert "@portway.awslambda.on('sqs')" in posted.json()["errorMessage"]
    assert answered("http-api", api.ask(http_api(Wire())).json()).status == 200


@pytest.mark.parametrize("fault", ["reset", 500, 503])
def test_a_runtime_api_that_falters(fault: int | str, api: RuntimeAPIServer, start: Start) -> None:
    api.faults = {"next": [fault, fault], "response": [fault]}
    function = start("fn:app")
    for _ in range(3):
        assert answered("http-api", api.ask(http_api(Wire())).json()).status == 200
    assert function.process.poll() is None


def test_a_runtime_api_that_refuses(api: RuntimeAPIServer, start: Start) -> None:
    api.faults = {"response": [403]}
    function = start("fn:app")
    api.send(http_api(Wire(path="/lost")))
    number = api.send(http_api(Wire(path="/next")))
    assert number in api.get().path
    assert "the answer was not taken" in function.log()


def test_a_runtime_api_that_does_not_answer_in_time(api: RuntimeAPIServer) -> None:
    api.faults = {"response": ["hang"]}
    client = RuntimeAPI(api.address, timeout_s=0.1)
    first = api.send({})
    assert client.next().request_id == first
    with pytest.raises(RuntimeAPIError, match=r"no answer within 0\.1 seconds"):
        client.respond(first, b"1")
    second = api.send({})
    assert client.next().request_id == second

    def taken() -> bool:
        try:
            client.respond(second, b"2")
        except RuntimeAPIError:  # a machine that stands still takes so short a time away
            return False
        return True

    wait_until(taken, "answer that is taken")
    assert api.calls.count(f"POST invocation/{first}/response") == 1  # not tried again
    client.close()


def test_a_runtime_api_that_closes_after_each_answer(api: RuntimeAPIServer) -> None:
    client = RuntimeAPI(api.address)
    for fault in ("reset", 500):
        api.faults = {"next": [fault], "response": [fault]}
        number = api.send({})
        assert client.next().request_id == number
        client.respond(number, b"1")
        assert number in api.get().path
    client.close()


def test_a_runtime_api_that_is_gone(api: RuntimeAPIServer, start: Start) -> None:
    api.faults = {"next": [500] * 20}
    function = start("fn:app")
    assert function.wait() == 1
    assert "the Runtime API answered GET invocation/next with 500" in function.log()


def test_an_answer_that_lambda_finds_too_large_is_named(api: RuntimeAPIServer, start: Start) -> None:
    api.faults = {"response": [413]}
    start("fn:plain")
    error = api.ask({"do": "text"}).json()
    assert error["errorType"] == "Portway.ReplyTooLarge"
    assert "the limit of AWS Lambda is 6291556" in error["errorMessage"]


def test_an_answer_over_the_front_doors_limit(api: RuntimeAPIServer, start: Start) -> None:
    start("fn:app")
    answer = answered("http-api", api.ask(http_api(Wire(path="/big"))).json())
    assert answer.status == 500 and b"API Gateway HTTP API" in answer.body


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("fn:nothing", "AppFailed"),
        ("no_such_module:app", "AppFailed"),
        ("bad:app", "ZeroDivisionError"),
        ("syntax:app", "SyntaxError"),
        ("exits:app", "SystemExit"),
    ],
)
def test_a_function_that_cannot_be_initialised(
    target: str, error: str, api: RuntimeAPIServer, start: Start, tmp_path: Path
) -> None:
    (tmp_path / "bad.py").write_text("1 / 0")
    (tmp_path / "syntax.py").write_text("def :")
    (tmp_path / "exits.py").write_text("raise SystemExit(0)")
    function = start(target)
    posted = api.get()
    assert posted.path == "init/error"
    assert posted.headers["lambda-runtime-function-error-type"] == error
    assert posted.json()["errorType"] == error
    assert function.wait() == 1
    assert error in function.log() or "has no attribute" in function.log() or "no module" in function.log()


def test_an_async_function_and_its_loop(api: RuntimeAPIServer, start: Start) -> None:
    start("fn:awaited")
    assert api.ask({}).json() == api.ask({}).json()


def test_a_function_that_yields(api: RuntimeAPIServer, start: Start) -> None:
    start("fn:pieces")
    posted = api.ask({})
    assert posted.headers["lambda-runtime-function-response-mode"] == "streaming"
    assert [chunk for _, chunk in posted.chunks] == [b"one ", b"two"]
    posted = api.ask({"fail": True})
    assert posted.body == b"one two"
    assert posted.trailers["lambda-runtime-function-error-type"] == "RuntimeError"


def test_logs_as_text(api: RuntimeAPIServer, start: Start) -> None:
    function = start("fn:plain")
    number = api.ask({"do": "log"}).path.split("/")[1]
    log = function.log()
    assert "[ERROR]\t" in log and f"Z\t{number}\tlogged it" in log
    assert "ZeroDivisionError: division by zero" in log
    assert "printed\n" in log


def test_logs_as_json(api: RuntimeAPIServer, start: Start) -> None:
    function = start("fn:plain", AWS_LAMBDA_LOG_FORMAT="JSON", AWS_LAMBDA_LOG_LEVEL="DEBUG")
    number = api.ask({"do": "log"}).path.split("/")[1]
    lines = [json.loads(line) for line in function.log().splitlines() if line.startswith("{")]
    first = next(line for line in lines if line["message"] == "logged it")
    assert (first["level"], first["logger"], first["requestId"], first["order"]) == (
        "ERROR",
        "mine",
        number,
        7,
    )
    assert first["traceId"].startswith("Root=1-5bef4de7")
    assert first["timestamp"].endswith("Z")
    second = next(line for line in lines if line["message"] == "failed")
    assert (second["errorType"], second["errorMessage"]) == ("ZeroDivisionError", "division by zero")
    assert second["stackTrace"][-1].startswith("ZeroDivisionError")


def test_logs_as_frames(api: RuntimeAPIServer, start: Start, tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "fd = os.open('frames', os.O_WRONLY | os.O_CREAT, 0o600)\n"
        "os.environ['_LAMBDA_TELEMETRY_LOG_FD'] = str(fd)\n"
        "from portway.awslambda.runtime.serve import main\n"
        "main(['fn:plain'])\n"
    )
    (tmp_path / "framed.py").write_text(script)
    with Function(tmp_path, api, ["framed.py"]):
        api.ask({"do": "log"})
        frames = (tmp_path / "frames").read_bytes()
    texts = []
    while frames:
        kind, size = int.from_bytes(frames[:4], "big"), int.from_bytes(frames[4:8], "big")
        assert kind == 0xA55A0017  # text, error
        texts.append(frames[16 : 16 + size].decode())
        frames = frames[16 + size :]
    assert "logged it" in texts[0]
    assert "Traceback" in texts[1] and texts[1].count("\n") >= 3


def test_access_log(api: RuntimeAPIServer, start: Start) -> None:
    function = start("fn:app", PORTWAY_ACCESS_LOG="-")
    api.ask(http_api(Wire(path="/logged", query="a=1")))
    lines = [json.loads(line) for line in function.log().splitlines() if '"access"' in line]
    assert len(lines) == 1
    assert (lines[0]["path"], lines[0]["query"], lines[0]["status"]) == ("/logged", "a=1", 200)
    assert (lines[0]["source"], lines[0]["client"]) == ("http-api", "203.0.113.7")


@pytest.mark.parametrize("door", [function_url, rest])
def test_streaming(door: Callable[[Wire], dict[str, Any]], api: RuntimeAPIServer, start: Start) -> None:
    start("fn:asgi", PORTWAY_RESPONSE_MODE="stream")
    for _ in range(2):
        posted = api.ask(door(Wire(path="/events")))
        head = prelude(posted)
        assert head["statusCode"] == 200
        assert head["headers"]["content-type"] == "text/event-stream"
        cookies = head["cookies"] if door is function_url else head["multiValueHeaders"]["set-cookie"]
        assert cookies == ["a=1", "b=2"]
        assert streamed_body(posted) == b"data: 0\n\ndata: 1\n\ndata: 2\n\n1"
        assert posted.trailers == {}


def test_the_first_byte_leaves_before_the_application_ends(
    api: RuntimeAPIServer, start: Start, tmp_path: Path
) -> None:
    start("fn:asgi", PORTWAY_RESPONSE_MODE="stream")
    gate = Gate(tmp_path / "go-on")
    api.send(function_url(Wire(path="/wait")))
    assert api.chunk_arrived.wait(20)
    assert api.posted.empty()
    gate.open()
    assert streamed_body(api.get()) == b"first1"


def test_a_stream_beyond_the_buffered_limit(api: RuntimeAPIServer, start: Start) -> None:
    start("fn:asgi", PORTWAY_RESPONSE_MODE="stream")
    body = streamed_body(api.ask(function_url(Wire(path="/large"))))
    assert len(body) == 32 * 262144 + 1
    assert body[:262144] == b"\0" * 262144


def test_front_doors_that_do_not_stream_get_a_buffered_answer(api: RuntimeAPIServer, start: Start) -> None:
    start("fn:asgi", PORTWAY_RESPONSE_MODE="stream")
    answer = answered("http-api", api.ask(http_api(Wire(path="/events"))).json())
    assert answer.body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n1"


@pytest.mark.parametrize("path", ["/empty", "/none", "/length"])
def test_lengths_of_streamed_answers(path: str, api: RuntimeAPIServer, start: Start) -> None:
    start("fn:asgi", PORTWAY_RESPONSE_MODE="stream")
    posted = api.ask(function_url(Wire(path=path)))
    length = prelude(posted)["headers"].get("content-length")
    assert length == {"/empty": "0", "/none": None, "/length": "3"}[path]
    if path == "/length":
        assert posted.trailers["lambda-runtime-function-error-type"] == "Portway.BadReply"
    else:
        assert (streamed_body(posted), posted.trailers) == (b"", {})


def test_a_head_request_is_streamed_without_a_body(api: RuntimeAPIServer, start: Start) -> None:
    start("fn:asgi", PORTWAY_RESPONSE_MODE="stream")
    posted = api.ask(function_url(Wire(method="HEAD", path="/length")))
    assert prelude(posted)["headers"]["content-length"] == "3"
    assert (streamed_body(posted), posted.trailers) == (b"", {})


def test_failures_of_a_streaming_application(api: RuntimeAPIServer, start: Start) -> None:
    start("fn:asgi", PORTWAY_RESPONSE_MODE="stream")
    posted = api.ask(function_url(Wire(path="/raise")))
    assert prelude(posted)["statusCode"] == 500
    assert (streamed_body(posted), posted.trailers) == (b"Internal Server Error\n", {})
    posted = api.ask(function_url(Wire(path="/broken")))
    assert prelude(posted)["statusCode"] == 200
    assert posted.trailers["lambda-runtime-function-error-type"] == "RuntimeError"
    error = json.loads(base64.b64decode(posted.trailers["lambda-runtime-function-error-body"]))
    assert error["errorMessage"] == "half way"
    event = function_url(Wire(method="POST", body=b"\xff"))
    event["body"] = "%%%"
    assert prelude(api.ask(event))["statusCode"] == 400
    assert prelude(api.ask(function_url(Wire())))["statusCode"] == 200


def test_deadlines_of_a_streaming_application(api: RuntimeAPIServer, start: Start) -> None:
    function = start("fn:asgi", PORTWAY_RESPONSE_MODE="stream")
    assert prelude(api.ask(function_url(Wire(path="/events"))))["statusCode"] == 200
    posted = api.ask(function_url(Wire(path="/late")), seconds=0.8)
    assert prelude(posted)["statusCode"] == 504

    def cancelled() -> bool:
        posted = api.ask(function_url(Wire(path="/never")), seconds=0.8)
        if prelude(posted)["statusCode"] == 504:  # nothing had left when its time was up
            return False
        return posted.trailers["lambda-runtime-function-error-type"] == "CancelledError"

    # A machine that stands still takes the time of one: to begin, or to end when it is cancelled.
    assert any(cancelled() for _ in range(5))
    assert "the invocation is about to time out" in function.log()


def test_what_comes_after_the_answer_is_done_before_the_next_event(
    api: RuntimeAPIServer, start: Start, tmp_path: Path
) -> None:
    start("fn:asgi", PORTWAY_RESPONSE_MODE="stream")
    api.ask(function_url(Wire(path="/after")))
    api.ask(function_url(Wire(path="/events")))
    assert (tmp_path / "after").read_text() == "done"


def test_an_application_that_cannot_be_interrupted(api: RuntimeAPIServer, start: Start) -> None:
    function = start("fn:stuck")
    assert answered("http-api", api.ask(http_api(Wire())).json()).status == 200
    answer = answered("http-api", api.ask(http_api(Wire(path="/stuck")), seconds=2.0).json())
    assert (answer.status, answer.body) == (504, b"Gateway Timeout\n")
    assert function.process.poll() is None
    assert "the application cannot be interrupted" in function.log()


def test_wsgi_streams_as_it_yields(api: RuntimeAPIServer, start: Start) -> None:
    start("fn:streaming_wsgi", PORTWAY_RESPONSE_MODE="stream")
    posted = api.ask(function_url(Wire()))
    assert "content-length" not in prelude(posted)["headers"]
    assert [chunk for _, chunk in posted.chunks[1:]] == [b"one", b"two"]
    posted = api.ask(function_url(Wire(path="/list")))
    assert prelude(posted)["headers"]["content-length"] == "3"
    assert streamed_body(posted) == b"abc"
    posted = api.ask(function_url(Wire(path="/broken")))
    assert (streamed_body(posted), posted.trailers["lambda-runtime-function-error-type"]) == (
        b"one",
        "RuntimeError",
    )


def test_sigterm_ends_the_lifespan(api: RuntimeAPIServer, start: Start) -> None:
    function = start("fn:asgi")
    api.ask(http_api(Wire()))
    assert "POST /2020-01-01/extension/register" in api.calls
    function.terminate()
    assert function.wait() == 0
    assert "lifespan is shut down" in function.log()


def test_sigterm_while_an_answer_is_posted_ends_the_process(api: RuntimeAPIServer, start: Start) -> None:
    api.faults = {"response": ["hang"]}
    function = start("fn:asgi", PORTWAY_RESPONSE_MODE="stream")
    api.send(function_url(Wire(path="/events")))
    wait_until(lambda: not api.faults["response"], "answer that hangs")
    function.terminate()
    assert function.wait() == 0
    assert "lifespan is shut down" in function.log()


def test_without_a_lifespan_no_extension_is_registered(api: RuntimeAPIServer, start: Start) -> None:
    function = start("fn:app")
    api.ask(http_api(Wire()))
    assert not any("extension" in call for call in api.calls)
    function.terminate()
    assert function.wait() == -signal.SIGTERM


def test_snapstart(api: RuntimeAPIServer, start: Start, tmp_path: Path) -> None:
    function = start("fn:asgi", AWS_LAMBDA_INITIALIZATION_TYPE="snap-start")
    answer = answered("http-api", api.ask(http_api(Wire())).json())
    assert answer.body.endswith(b"1")
    assert (tmp_path / "hooks").read_text() == "before after "
    assert api.calls[0] == "GET restore/next"
    assert function.process.poll() is None


def test_a_snapstart_hook_that_fails(api: RuntimeAPIServer, start: Start, tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text(
        "import portway.awslambda\n"
        "@portway.awslambda.after_restore\n"
        "def after(): raise OSError('no database')\n"
        "def f(event, context): pass\n"
    )
    function = start("hooks:f", AWS_LAMBDA_INITIALIZATION_TYPE="snap-start")
    posted = api.get()
    assert (posted.path, posted.json()["errorType"]) == ("restore/error", "Runtime.AfterRestoreError")
    assert function.wait() == 65


def test_multi_concurrency(api: RuntimeAPIServer, start: Start, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "all-in")
    function = start("fn:pid", AWS_LAMBDA_MAX_CONCURRENCY="3")
    numbers = [api.send({"n": n}) for n in range(3)]
    # Each answers only when all three are inside: one process could not.
    wait_until(lambda: all((tmp_path / f"in-{n}").exists() for n in range(3)), "three inside")
    gate.open()
    posted = [api.get() for _ in numbers]
    assert len({one.json()["pid"] for one in posted}) == 3
    assert all(one.json()["request"] in one.path for one in posted)
    function.terminate()
    assert function.wait() == 0


def test_multi_concurrency_with_a_function_that_cannot_start(api: RuntimeAPIServer, start: Start) -> None:
    function = start("fn:nothing", AWS_LAMBDA_MAX_CONCURRENCY="2")
    assert api.get().path == "init/error"
    assert function.wait() == 1


def test_outside_of_lambda_the_entry_point_says_so(tmp_path: Path) -> None:
    import subprocess
    import sys

    from tests.awslambda.runtime_api import SOURCE

    done = subprocess.run(
        [sys.executable, "-m", "portway.awslambda", "fn:app"],
        env={"PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: AWS_LAMBDA_RUNTIME_API is not set\n\nhint: ")
