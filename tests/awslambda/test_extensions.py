"""Extensions beside an emulated function: real processes that speak the Extensions API."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portway.awslambda.emulator.pool import Throttled
from tests.awslambda.emulated import WAIT_S, Emulated, body, state, until
from tests.awslambda.functions import INTERNAL, REFUSED
from tests.support.waiting import Gate

EXTENSION = (
    f"#!{sys.executable}"
    + """
import fcntl, http.client, json, os, signal, sys, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
NAME = os.path.basename(__file__)
API = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
ROOT = "/2020-01-01/extension/"

def note(**found):
    with open(f"{HERE}/../{NAME}.log", "a") as file:
        file.write(json.dumps({"at": time.time(), **found}) + "\\n")

def call(method, path, body=None, **fields):
    API.request(method, path, body, {name.replace("_", "-"): value for name, value in fields.items()})
    response = API.getresponse()
    return response, response.read()

events = ["INVOKE", "SHUTDOWN"]
if NAME == "deaf": events = []
if NAME == "late": time.sleep(0.2)
response, text = call(
    "POST", ROOT + "register", json.dumps({"events": events}), Lambda_Extension_Name=NAME,
    Lambda_Extension_Accept_Feature="accountId",
)
note(status=response.status, pid=os.getpid(), registered=json.loads(text), environ=sorted(os.environ))
if response.status == 403:
    events = ["SHUTDOWN"]
    response, text = call(
        "POST", ROOT + "register", json.dumps({"events": events}), Lambda_Extension_Name=NAME
    )
me = response.getheader("Lambda-Extension-Identifier")
if NAME == "broken":
    call("POST", ROOT + "init/error", "{}", Lambda_Extension_Identifier=me,
         Lambda_Extension_Function_Error_Type="Extension.NoConfiguration")
    threading.Event().wait()
if NAME == "stubborn": signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    response, text = call("GET", ROOT + "event/next", Lambda_Extension_Identifier=me)
    event = json.loads(text)
    note(event=event, identified=response.getheader("Lambda-Extension-Event-Identifier") is not None)
    if event["eventType"] == "SHUTDOWN":
        if NAME == "stubborn": threading.Event().wait()
        break
    if NAME == "crash": sys.exit(3)
    if NAME == "slow":
        with open(f"{HERE}/../gate") as gate:
            fcntl.flock(gate, fcntl.LOCK_SH)  # as soon as the test opens it
    if NAME == "hang": threading.Event().wait()
    note(done=event["requestId"])
"""
)

FN = """
import os, threading, time

def handler(event, context):
    if event == "hang": threading.Event().wait()
    if event == "exit": os._exit(1)
    if event == "term":
        import signal, sys
        def stopped(number, frame):
            open("terminated", "w").close()
            sys.exit(0)
        signal.signal(signal.SIGTERM, stopped)
    return {"pid": os.getpid(), "id": context.aws_request_id, "at": time.time()}
"""

Lines = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def extend(make: Any, tmp_path: Path) -> Callable[..., Emulated]:
    """Make a pool whose function has extensions of these names."""

    def extended(*names: str, client: str = "portway", **options: Any) -> Emulated:
        (tmp_path / "opt").mkdir(exist_ok=True)
        (tmp_path / "ext.py").write_text(FN)
        for name in names:
            path = tmp_path / "opt" / name
            path.write_text(EXTENSION)
            path.chmod(0o755)
        pool = make(client, "ext.handler", extensions=tmp_path / "opt", **options)
        assert isinstance(pool, Emulated)
        return pool

    return extended


@pytest.fixture
def lines(tmp_path: Path) -> Lines:
    """Return what an extension has noted."""

    def read(name: str) -> list[dict[str, Any]]:
        path = tmp_path / f"{name}.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    return read


def test_an_extension_hears_of_invocations_and_of_the_end(
    client: str, extend: Any, lines: Lines, tmp_path: Path
) -> None:
    pool = extend("watcher", "late", client=client, grace_s=WAIT_S)
    answers = [body(pool.ask(n)) for n in range(2)]
    assert answers[0]["pid"] == answers[1]["pid"]
    assert "EXTENSION\tName: watcher\tState: Ready\tEvents: [INVOKE, SHUTDOWN]" in pool.log
    pool.close()
    for name in ("watcher", "late"):
        registration, *found = lines(name)
        assert registration["registered"] == {
            "functionName": "function",
            "functionVersion": "$LATEST",
            "handler": "ext.handler",
            "accountId": "123456789012",
        }
        assert "AWS_LAMBDA_FUNCTION_NAME" in registration["environ"]
        assert not {"_HANDLER", "LAMBDA_TASK_ROOT", "PYTHONPATH"} & set(registration["environ"])
        events = [one["event"] for one in found if "event" in one]
        assert [one.get("requestId") for one in events] == [answers[0]["id"], answers[1]["id"], None]
        assert all(one["identified"] for one in found if "event" in one)
        assert events[0]["invokedFunctionArn"].endswith(":function:function")
        assert events[0]["tracing"]["value"].startswith("Root=1-")
        assert (events[2]["eventType"], events[2]["shutdownReason"]) == ("SHUTDOWN", "SPINDOWN")
        assert events[2]["deadlineMs"] > time.time() * 1000 - WAIT_S * 1000


def test_the_runtime_starts_when_the_extensions_have_registered(extend: Any, lines: Lines) -> None:
    pool = extend("late")
    answer = body(pool.ask(1))
    assert lines("late")[0]["at"] < answer["at"]


def test_an_invocation_lasts_until_its_extensions_have_come_back(
    extend: Any, lines: Lines, tmp_path: Path
) -> None:
    gate = Gate(tmp_path / "gate")
    pool = extend("slow", limit=1)
    invocation = pool.submit(b"1")
    assert invocation.wait(WAIT_S) is not None  # the answer does not wait, the next event does
    assert not invocation.finished.is_set()
    with pytest.raises(Throttled):
        pool.submit(b"2")
    gate.open()
    assert invocation.finished.wait(WAIT_S)
    done = [one["at"] for one in lines("slow") if "done" in one]
    assert len(done) == 1
    assert body(pool.ask(2))["at"] > done[0]


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="looks into /proc")
def test_an_extension_is_frozen_with_its_function(extend: Any, lines: Lines) -> None:
    pool = extend("watcher")
    pid = body(pool.ask(1))["pid"]
    extension = lines("watcher")[0]["pid"]
    until(lambda: state(pid) == state(extension) == "T")
    assert body(pool.ask(2))["pid"] == pid


@pytest.mark.parametrize(
    ("name", "event", "kind", "reason"),
    [
        ("crash", "hang", "Extension.Crash", "FAILURE"),
        ("broken", 1, "Extension.NoConfiguration", ""),  # before the other one has registered
        ("watcher", "hang", "Sandbox.Timedout", "TIMEOUT"),
    ],
)
def test_what_ends_an_environment_with_extensions(
    name: str, event: Any, kind: str, reason: str, extend: Any, lines: Lines, tmp_path: Path
) -> None:
    options = {"timeout_s": 1.0 if reason == "TIMEOUT" else WAIT_S, "grace_s": WAIT_S if reason else 0.0}
    pool = extend(name, "witness", environ={"PORTWAY_DEADLINE_MARGIN": "0"}, **options)
    answer = pool.ask(event)
    assert (answer.error, answer.fatal) == (kind, True)
    pool.close()
    told = {one["event"].get("shutdownReason") for one in lines("witness") if "event" in one}
    assert not reason or reason in told


def test_a_runtime_that_dies_leaves_its_extensions_time_to_hear_of_it(extend: Any, lines: Lines) -> None:
    pool = extend("witness", grace_s=WAIT_S)
    assert pool.ask("exit").error == "Runtime.ExitError"
    pool.close()
    assert lines("witness")[-1]["event"]["shutdownReason"] == "FAILURE"


def test_an_extension_that_does_not_come_back_costs_its_environment(extend: Any, lines: Lines) -> None:
    pool = extend("hang", timeout_s=0.8)
    answer = pool.ask_until_in_time(1)
    assert not answer.error  # the client has its answer
    assert "Status: timeout" in pool.lines[-1]
    assert body(pool.ask_until_in_time(2))["pid"] != body(answer)["pid"]


def test_an_extension_that_does_not_end_is_killed(extend: Any) -> None:
    pool = extend("stubborn", "deaf")
    assert not pool.ask("term").error
    pool.close()  # returns, and nobody is left


def test_the_runtime_is_asked_to_end_before_its_extensions(extend: Any, tmp_path: Path) -> None:
    pool = extend("watcher", grace_s=WAIT_S)
    assert not pool.ask("term").error
    pool.close()
    assert (tmp_path / "terminated").exists()


def test_a_file_that_cannot_be_run(extend: Any, tmp_path: Path) -> None:
    pool = extend("watcher")
    (tmp_path / "opt" / "notes.txt").write_text("no program")
    answer = pool.ask(1)
    assert (answer.error, answer.fatal) == ("Extension.LaunchError", True)
    assert b"notes.txt" in answer.body


def test_an_extension_that_never_registers(extend: Any, tmp_path: Path) -> None:
    pool = extend(init_limit_s=0.5)
    path = tmp_path / "opt" / "mute"
    path.write_text("#!/bin/sh\nexec sleep 60\n")
    path.chmod(0o755)
    assert pool.ask(1).error == "Sandbox.Timedout"


def test_internal_extensions_and_what_lambda_refuses(client: str, make: Any, tmp_path: Path) -> None:
    (tmp_path / "inside.py").write_text(INTERNAL)
    pool = make(client, "inside.handler", timeout_s=WAIT_S)
    assert body(pool.ask("seen")) == ["inside.handler", *REFUSED]
    assert body(pool.ask("late")) == [403, "Extension.RegistrationClosed"]
    heard, own = body(pool.ask("invoked"))
    assert len(heard) >= 2 and own not in heard[:2]
