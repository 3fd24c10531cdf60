"""Emulated environments: real processes behind a real Runtime API, under both clients."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from portway.awslambda.emulator.function import Function, command_of, own_options
from portway.awslambda.emulator.invocation import BrokenStream
from portway.awslambda.emulator.invocations import PATH as INVOCATIONS
from portway.awslambda.emulator.invocations import Invocations
from portway.awslambda.emulator.pool import Throttled
from tests.awslambda.emulated import FN, WAIT_S, Emulated, body, state, until
from tests.awslambda.front_doors import Wire, function_url
from tests.support.waiting import Gate


def test_an_environment_serves_one_event_after_another(client: str, make: Any) -> None:
    pool = make(client)
    first, second = body(pool.ask({"n": 1})), body(pool.ask({"n": 2}))
    assert first["pid"] == second["pid"] and second["event"] == {"n": 2}
    assert pool.log.count("INIT_START") == 1 and pool.log.count("START RequestId") == 2
    reports = [line for line in pool.log.splitlines() if line.startswith("REPORT")]
    assert "Init Duration:" in reports[0] and "Init Duration:" not in reports[1]
    assert "Memory Size: 128 MB\tMax Memory Used: " in reports[0]


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        ({"do": "exit", "code": 1}, "Runtime.ExitError", "Runtime exited with error: exit status 1"),
        ({"do": "exit", "code": 0}, "Runtime.ExitError", "Runtime exited without providing a reason"),
        ({"do": "kill"}, "Runtime.ExitError", "Runtime exited with error: signal: killed"),
        ({"do": "hang"}, "Sandbox.Timedout", "Task timed out after 0.80 seconds"),
        ({"do": "eat"}, "Runtime.OutOfMemory", "Runtime exited with error: signal: killed"),
    ],
)
def test_an_environment_that_ends_is_replaced(
    event: Any, kind: str, message: str, client: str, make: Any
) -> None:
    timeout_s = 0.8 if kind == "Sandbox.Timedout" else WAIT_S
    pool = make(client, timeout_s=timeout_s, environ={"PORTWAY_DEADLINE_MARGIN": "0"})
    pid = body(pool.ask_until_in_time({}))["pid"]
    answer = pool.ask(event)
    assert (answer.error, answer.fatal) == (kind, True)
    found = json.loads(answer.body)
    assert found["errorType"] == kind and found["errorMessage"].endswith(f"Error: {message}")
    status = "Status: timeout" if kind == "Sandbox.Timedout" else f"Status: error\tError Type: {kind}"
    assert pool.lines[-1].endswith(status)
    assert body(pool.ask_until_in_time({}))["pid"] != pid
    assert pool.log.count("INIT_START") == 1 + pool.log.count(status)


def test_an_error_of_the_function_keeps_its_environment(client: str, make: Any) -> None:
    pool = make(client)
    pid = body(pool.ask({}))["pid"]
    answer = pool.ask({"do": "raise"})
    assert (answer.error, answer.fatal, json.loads(answer.body)["errorMessage"]) == (
        "ValueError",
        False,
        "bad",
    )
    assert body(pool.ask({}))["pid"] == pid


def test_an_answer_over_the_limit(client: str, make: Any) -> None:
    pool = make(client)
    answer = pool.ask({"do": "large"})
    assert answer.error == "Function.ResponseSizeTooLarge"
    assert b"maximum allowed payload size (6291556 bytes)" in answer.body
    assert body(pool.ask({"n": 1}))["event"] == {"n": 1}


def test_the_environment_is_lambdas_and_nothing_of_this_shell(client: str, make: Any, tmp_path: Path) -> None:
    pool = make(client, name="shop", region="eu-central-1", memory_mb=256, environ={"OWN": "1"})
    found = body(pool.ask({"do": "environ"}))
    wanted = {
        "AWS_LAMBDA_FUNCTION_NAME": "shop",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "LAMBDA_TASK_ROOT": str(tmp_path),
        "TZ": ":UTC",
        "_HANDLER": "fn.handler",
        "OWN": "1",
    }
    assert {name: found[name] for name in wanted} == wanted
    assert found["_X_AMZN_TRACE_ID"].startswith("Root=1-")
    documented = {"AWS_EXECUTION_ENV", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME"}
    documented |= {"AWS_LAMBDA_RUNTIME_API", "AWS_XRAY_CONTEXT_MISSING", "LAMBDA_RUNTIME_DIR", "LANG", "PATH"}
    assert set(found) - set(wanted) - documented - {"PYTHONPATH", "_X_AMZN_TRACE_ID", "LC_CTYPE"} == set()


def test_options_of_the_handler_pass_from_the_shell() -> None:
    shell = {"HOME": "/root", "PORTWAY_COMPRESS": "off", "PORTWAY_WORKERS": "3", "PORTWAY_ACCESS_LOG": "/a"}
    assert own_options(shell) == {"PORTWAY_COMPRESS": "off"}


def test_the_context_object(client: str, make: Any) -> None:
    found = body(make(client, timeout_s=9).ask({"do": "context"}, client_context='{"custom": {"a": 1}}'))
    assert found["arn"] == "arn:aws:lambda:us-east-1:123456789012:function:function"
    assert 0 < found["left"] <= 9000
    assert (found["memory"], found["client"]) == ("128", {"a": 1})


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="looks into /proc")
def test_between_two_events_everything_stands_still(client: str, make: Any, tmp_path: Path) -> None:
    pool = make(client)
    pid = body(pool.ask({"do": "beat"}))["pid"]
    until(lambda: state(pid) == "T")
    beats = (tmp_path / "beats").stat().st_size
    assert body(make("portway").ask({}))["pid"] != pid  # takes a while
    assert (tmp_path / "beats").stat().st_size == beats
    until(lambda: body(pool.ask({}))["pid"] == pid and (tmp_path / "beats").stat().st_size > beats)


def test_environments_on_demand_up_to_the_limit(client: str, make: Any, tmp_path: Path) -> None:
    pool = make(client, limit=2, timeout_s=WAIT_S)
    gate = Gate(tmp_path / "gate")
    waiting = []
    for number in range(2):
        event = {"do": "wait", "here": str(tmp_path / f"in-{number}"), "until": str(gate.path)}
        waiting.append(pool.submit(json.dumps(event).encode()))
    until(lambda: all((tmp_path / f"in-{number}").exists() for number in range(2)))
    with pytest.raises(Throttled, match="all 2 environments are busy"):
        pool.submit(b"{}")
    gate.open()
    assert len({body(pool.done(one))["pid"] for one in waiting}) == 2
    assert body(pool.ask({"n": 1}))["event"] == {"n": 1}
    assert pool.log.count("INIT_START") == 2


def test_what_a_function_forks_ends_with_it(make: Any) -> None:
    pool = make("portway", timeout_s=5)
    assert not pool.ask({"do": "fork"}).error
    pool.close()  # returns: nothing is left in the process group to wait for


def test_a_function_whose_child_comes_back_too_answers_once(make: Any, tmp_path: Path) -> None:
    pool = make("portway", timeout_s=WAIT_S)
    pid = body(pool.ask({}))["pid"]
    for number in range(3):
        assert body(pool.ask({"do": "both", "n": number})) == {
            "pid": pid,
            "event": {"do": "both", "n": number},
        }
    assert pool.ask({"do": "stream"}).whole() == b"onetwo"
    assert body(pool.ask({}))["pid"] == pid


def test_a_registered_function_whose_child_comes_back_too(client: str, make: Any, tmp_path: Path) -> None:
    pool = make(client, "consumer.handler", timeout_s=WAIT_S)
    (tmp_path / "consumer.py").write_text(QUEUE)
    event = {"Records": [{"eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:::q"}]}
    pid = body(pool.ask(event))
    assert [body(pool.ask(event)) for _ in range(3)] == [pid] * 3


QUEUE = """
import os
import portway.awslambda

def app(environ, start_response): ...

handler = portway.awslambda.handler(app)

@handler.on("sqs")
def consume(event, context):
    os.fork()
    return os.getpid()
"""


def test_changed_code_is_loaded(client: str, make: Any, tmp_path: Path) -> None:
    pool = make(client, reload=True)
    assert body(pool.ask({}))["event"] == {}
    (tmp_path / "fn.py").write_text("def handler(event, context): return 'new code'")
    assert body(pool.ask({})) == "new code"
    assert len(pool) == 1


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("raise LookupError('no DATABASE_URL')", "LookupError"),
        ("import os; os._exit(7)", "Runtime.ExitError"),
        ("def other(event, context): pass", "Runtime.HandlerNotFound"),
    ],
)
def test_a_function_that_cannot_be_initialised(
    source: str, kind: str, client: str, make: Any, tmp_path: Path
) -> None:
    (tmp_path / "fn.py").write_text(source)
    pool = make(client, reload=True)
    for _ in range(2):
        answer = pool.ask({})
        assert answer.fatal and answer.error in (kind, "AppFailed")
    (tmp_path / "fn.py").write_text(FN)
    assert body(pool.ask({"n": 1}))["event"] == {"n": 1}


def test_an_initialisation_that_takes_too_long(make: Any, tmp_path: Path) -> None:
    (tmp_path / "fn.py").write_text("import threading; threading.Event().wait()")
    pool = make("portway", init_limit_s=0.3)
    answer = pool.ask({})
    assert (answer.error, answer.fatal) == ("Sandbox.Timedout", True)
    assert b"Task timed out after 0.30 seconds" in answer.body


def test_a_function_that_goes_on_after_its_answer_is_waited_for_by_emulate(make: Any, tmp_path: Path) -> None:
    (tmp_path / "later.py").write_text(LATER)
    pool = make("portway", "portway.awslambda.main", environ=LATER_OPTIONS, limit=1, timeout_s=WAIT_S)
    emulated = Invocations(pool)
    for number in range(2):
        status, found = called(emulated, json.dumps(function_url(Wire(path=f"/{number}"))).encode())
        assert status == "200 OK" and found.endswith(b"answered")
    assert (tmp_path / "done").read_text() == "."  # the first one's, before the second was taken


LATER_OPTIONS = {"PORTWAY_APP": "later:app", "PORTWAY_RESPONSE_MODE": "stream"}
LATER = """
import asyncio, os

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"answered"})
    if scope["path"] == "/0":
        await asyncio.sleep(0.3)
        with open("done", "a") as file:
            file.write(".")
"""


def called(app: Invocations, event: bytes) -> tuple[str, bytes]:
    """Return status and body of one call."""
    seen: list[str] = []
    environ = {"PATH_INFO": INVOCATIONS, "REQUEST_METHOD": "POST", "wsgi.input": io.BytesIO(event)}
    body = b"".join(app(environ, lambda status, fields: seen.append(status)))
    return seen[0], body


def test_snapstart(client: str, make: Any, tmp_path: Path) -> None:
    (tmp_path / "snap.py").write_text(
        "import portway.awslambda\nseen = []\n"
        "portway.awslambda.before_snapshot(lambda: seen.append('before'))\n"
        "portway.awslambda.after_restore(lambda: seen.append('after'))\n"
        "def handler(event, context): return seen\n"
    )
    environ = {"AWS_EXECUTION_ENV": "AWS_Lambda_python3.12"}
    pool = make(client, "snap.handler", snapstart=True, environ=environ)
    assert body(pool.ask({})) == ["before", "after"]
    assert "RESTORE_START" in pool.log


STREAMING = """
import asyncio, fcntl

def passes(gate):
    with open(gate) as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # as soon as the test opens it

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        open("ended", "w").close()
        await send({"type": "lifespan.shutdown.complete"})
        return
    headers = [(b"content-type", b"text/event-stream"), (b"set-cookie", b"a=1")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"first", "more_body": True})
    if scope["path"] == "/fail":
        raise RuntimeError("half way")
    if scope["path"] == "/wait":
        passes("go-on")
    if scope["path"] == "/thread":
        await asyncio.to_thread(int)
    for number in range(100 if scope["path"] == "/many" else 0):
        await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
    await send({"type": "http.response.body", "body": b"last"})
"""


def streams(make: Any, directory: Path, **options: Any) -> Emulated:
    """Return a pool of a function that streams."""
    (directory / "stream.py").write_text(STREAMING)
    environ = {"PORTWAY_APP": "stream:app", "PORTWAY_RESPONSE_MODE": "stream"}
    pool = make("portway", "portway.awslambda.main", environ=environ, **options)
    assert isinstance(pool, Emulated)
    return pool


@pytest.fixture
def streaming(make: Any, tmp_path: Path) -> Emulated:
    """A function that streams."""
    return streams(make, tmp_path)


def test_a_streamed_answer_arrives_while_it_is_made(streaming: Emulated, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "go-on")
    answer = streaming.submit(json.dumps(function_url(Wire(path="/wait"))).encode()).wait(WAIT_S)
    assert answer is not None and answer.stream is not None
    pieces = iter(answer.stream)
    prelude = next(pieces)
    assert json.loads(prelude.partition(b"\0" * 8)[0])["cookies"] == ["a=1"]
    assert next(pieces) == b"first"
    gate.open()
    assert b"".join(pieces) == b"last"


def test_a_streamed_answer_that_fails_on_the_way(streaming: Emulated) -> None:
    answer = streaming.ask(function_url(Wire(path="/fail")))
    with pytest.raises(BrokenStream, match="RuntimeError"):
        answer.whole()
    assert streaming.ask(function_url(Wire(path="/"))).whole().endswith(b"firstlast")


def test_a_reader_that_leaves_does_not_end_the_function(streaming: Emulated) -> None:
    invocation = streaming.submit(json.dumps(function_url(Wire(path="/many"))).encode())
    answer = invocation.wait(WAIT_S)
    assert answer is not None and answer.stream is not None
    answer.stream.abandon()
    assert invocation.finished.wait(WAIT_S)
    assert streaming.lines[-1].startswith("END") and "Status" not in streaming.lines[-1]


@pytest.mark.parametrize("path", ["/", "/thread"])
def test_an_extension_gets_its_sigterm_when_the_pool_closes(make: Any, tmp_path: Path, path: str) -> None:
    """In its main thread, also where the application has left others, though it was frozen until then."""
    pool = streams(make, tmp_path, grace_s=WAIT_S)
    assert pool.ask(function_url(Wire(path=path))).whole().endswith(b"last")
    (environment,) = pool._all
    runtime = environment._sandbox.runtime
    assert runtime is not None
    until(lambda: state(runtime.pid) == "T")
    pool.close()
    assert (tmp_path / "ended").exists()


RAW = """
import http.client, json, os

api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
ROOT = "/2018-06-01/runtime/"

def call(method, path, body=b"", headers={}):
    api.request(method, path, body, headers)
    response = api.getresponse()
    text = response.read()
    return response, text

def kind(method, path, body=b"", headers={}):
    response, text = call(method, path, body, headers)
    return response.status, json.loads(text).get("errorType") if text.startswith(b"{") else None

while True:
    response, event = call("GET", ROOT + "invocation/next")
    mine = ROOT + "invocation/" + response.getheader("Lambda-Runtime-Aws-Request-Id")
    seen = [
        kind("GET", ROOT + "invocation/next"),
        kind("GET", "/nothing"),
        kind("POST", ROOT + "nothing"),
        kind("POST", ROOT + "invocation/other/response", b"1"),
        kind("POST", ROOT + "invocation/other/error", b"{}"),
        response.getheader("Content-Type"),
    ]
    call("POST", mine + "/response", json.dumps(seen).encode(), {"Content-Type": "application/json"})
    with open("twice", "w") as file:
        file.write(json.dumps(kind("POST", mine + "/response", b"2")))
"""


def test_calls_that_lambda_refuses(make: Any, tmp_path: Path) -> None:
    (tmp_path / "raw.py").write_text(RAW)
    pool = make("portway", "raw.handler")
    command = (command_of("portway", "")[0], "raw.py")
    pool = Emulated(Function(command, "raw.handler", tmp_path))
    try:
        assert body(pool.ask({})) == [
            [403, "InvalidStateTransition"],
            [404, None],
            [404, "NotFound"],
            [400, "InvalidRequestID"],
            [400, "InvalidRequestID"],
            "application/json",
        ]
        assert json.loads((tmp_path / "twice").read_text()) == [403, "InvalidStateTransition"]
        assert not pool.ask({}).error
    finally:
        pool.close()


BROKEN = """
import os, socket

host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")

def connect():
    return socket.create_connection((host, int(port)))

while True:
    api = connect()
    api.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
    head = api.recv(65536).decode()
    id = head.partition("Lambda-Runtime-Aws-Request-Id: ")[2].split()[0]
    post = "POST /2018-06-01/runtime/invocation/" + id + "/response HTTP/1.1\\r\\nHost: a\\r\\n"
    for rest in (
        "Content-Length: 100\\r\\n\\r\\ncut",
        "Transfer-Encoding: chunked\\r\\n\\r\\nzz\\r\\n",
        "Transfer-Encoding: chunked\\r\\n\\r\\n5\\r\\nabc",
        "Content-Length: many\\r\\n\\r\\n",
    ):
        with connect() as broken:
            broken.sendall((post + rest).encode())
    with connect() as api:
        api.sendall((post + "Content-Length: 4\\r\\n\\r\\n\\"ok\\"").encode())
        assert b" 202 " in api.recv(65536)
"""


def test_a_runtime_that_speaks_no_proper_http(make: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    pool = Emulated(Function((command_of("portway", "")[0], "broken.py"), "broken.handler", tmp_path))
    try:
        assert body(pool.ask({})) == "ok"
        assert body(pool.ask({})) == "ok"
    finally:
        pool.close()
