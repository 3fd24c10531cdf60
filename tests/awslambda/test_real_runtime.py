"""The same recordings through AWS's own runtime client and emulator, and through Portway's."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.awslambda.front_doors import DOORS, Wire, answered, function_url, http_api
from tests.awslambda.functions import FN, INTERNAL, REFUSED
from tests.awslambda.peers import emulator, needs, needs_emulator
from tests.awslambda.runtime_api import SOURCE, Function, Posted, RuntimeAPIServer
from tests.awslambda.test_dev import Served

CLIENTS = {"aws": ["-m", "awslambdaric", "fn.{}"], "portway": ["-m", "portway.awslambda", "fn:{}"]}
RECORDINGS: list[tuple[str, Any]] = [
    ("plain", {"a": [1, None, "é", 1.5]}),
    ("plain", []),
    ("plain", "text"),
    ("plain", None),
    ("plain", {"do": "text"}),
    ("plain", {"do": "decimal"}),
    ("plain", {"do": "context"}),
    ("plain", {"do": "raise"}),
    ("plain", {"do": "set"}),
    *[("wsgi", make(Wire(path="/caf%C3%A9", query="a=1"))) for make in DOORS.values()],
    ("wsgi", http_api(Wire(path="/boom"))),
    ("wsgi", {"no": "front door"}),
]


def recorded(client: str, target: str, events: list[Any], directory: Path) -> list[Posted]:
    """Return what a client posts for events, one process for all of them."""
    with RuntimeAPIServer() as api:
        command = [part.format(target) for part in CLIENTS[client]]
        with Function(directory, api, command, AWS_EXECUTION_ENV="AWS_Lambda_python3.12"):
            return [api.ask(event) for event in events]


@needs("awslambdaric")
@pytest.mark.parametrize("target", ["plain", "wsgi"])
def test_both_clients_post_the_same(target: str, tmp_path: Path) -> None:
    (tmp_path / "fn.py").write_text(FN)
    events = [event for name, event in RECORDINGS if name == target]
    aws = recorded("aws", target, events, tmp_path)
    own = recorded("portway", target, events, tmp_path)
    for event, theirs, ours in zip(events, aws, own, strict=True):
        kind = theirs.path.rpartition("/")[2]
        assert ours.path.rpartition("/")[2] == kind, event
        if kind == "response":
            assert ours.json() == theirs.json(), event
            assert ours.headers["content-type"] == theirs.headers["content-type"]
        else:
            own_type = ours.json()["errorType"].removeprefix("Portway.")
            # A result that is no JSON has a name of AWS's own there.
            assert (
                own_type == theirs.json()["errorType"] or theirs.json()["errorType"] == "Runtime.MarshalError"
            )
            assert set(ours.json()) == set(theirs.json())


@needs("awslambdaric")
def test_the_handler_under_awss_client_ends_its_lifespan_at_sigterm(tmp_path: Path) -> None:
    (tmp_path / "fn.py").write_text(FN + "\nhandler = portway.awslambda.handler(asgi)\n")
    environ = {"AWS_EXECUTION_ENV": "AWS_Lambda_python3.12"}
    with (
        RuntimeAPIServer() as api,
        Function(tmp_path, api, ["-m", "awslambdaric", "fn.handler"], **environ) as function,
    ):
        assert answered("http-api", api.ask(http_api(Wire())).json()).body.endswith(b"1")
        function.terminate()
        function.wait()
        assert "lifespan is shut down" in function.log()


@needs("awslambdaric", "snapshot_restore_py")
def test_snapstart_hooks_under_awss_client(tmp_path: Path) -> None:
    (tmp_path / "fn.py").write_text(FN + "\nhandler = portway.awslambda.handler(asgi)\n")
    environ = {"AWS_EXECUTION_ENV": "AWS_Lambda_python3.12", "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
    with RuntimeAPIServer() as api, Function(tmp_path, api, ["-m", "awslambdaric", "fn.handler"], **environ):
        answer = answered("http-api", api.ask(http_api(Wire())).json())
        assert answer.body.endswith(b"1")  # the lifespan started once, after the restore
        assert (tmp_path / "hooks").read_text() == "before after "
        assert api.calls[0] == "GET restore/next"


def invoked(port: int, event: bytes, **headers: str) -> tuple[int, bytes]:
    """Return status and body of an invocation through an emulator's HTTP call."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", "/2015-03-31/functions/function/invocations", event, fields)
    response = connection.getresponse()
    try:
        return response.status, response.read()
    finally:
        connection.close()


class Emulator:
    """The runtime interface emulator around a function, called the way its users call it."""

    def __init__(self, directory: Path, command: list[str], **environ: str) -> None:
        ports = []
        for _ in range(2):
            with socket.create_server(("127.0.0.1", 0)) as found:
                ports.append(found.getsockname()[1])
        self._port = ports[0]
        program = emulator()
        assert program is not None
        copy = directory / "rie"
        shutil.copy(program, copy)
        copy.chmod(0o755)
        self.log = directory / "rie.log"
        arguments = [
            "--runtime-interface-emulator-address",
            f"127.0.0.1:{ports[0]}",
            "--runtime-api-address",
            f"127.0.0.1:{ports[1]}",
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(copy), *arguments, sys.executable, *command],
                cwd=directory,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": os.pathsep.join([str(directory), SOURCE, *filter(None, sys.path)]),
                    "AWS_LAMBDA_FUNCTION_TIMEOUT": "5",
                    # AWS's client writes JSON without escapes where it says Python 3.12 or later.
                    "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info[0]}.{sys.version_info[1]}",
                    **environ,
                },
            )
        self._wait_until_it_listens()

    def _wait_until_it_listens(self) -> None:
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < until and self.process.poll() is None

    def invoke(self, event: Any) -> bytes:
        """Return what the function answers to an event."""
        return invoked(self._port, json.dumps(event).encode())[1]

    def call(self, event: bytes, **headers: str) -> tuple[int, bytes]:
        """Return status and body of the answer to an event's bytes."""
        return invoked(self._port, event, **headers)

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def emulated(tmp_path: Path) -> Iterator[Any]:
    """Start emulators that end with the test."""
    (tmp_path / "fn.py").write_text(FN)
    started: list[Emulator] = []

    def start(command: list[str], **environ: str) -> Emulator:
        started.append(Emulator(tmp_path, command, **environ))
        return started[-1]

    yield start
    for one in started:
        one.close()


@needs_emulator
@pytest.mark.parametrize("client", ["portway", pytest.param("aws", marks=needs("awslambdaric"))])
def test_the_emulator_serves_either_client(client: str, emulated: Any) -> None:
    command = [part.format("wsgi") for part in CLIENTS[client]]
    rie = emulated(command)
    for door in ("http-api", "rest-api", "alb-multi"):
        answer = answered(door, json.loads(rie.invoke(DOORS[door](Wire(path="/x", query="a=1")))))
        assert (answer.status, answer.body) == (200, b"GET /x a=1")
        assert answer.values("set-cookie") == ["a=1", "b=2"]
    error = json.loads(rie.invoke({"no": "front door"}))
    assert error["errorType"].removeprefix("Portway.") == "UnknownEvent"
    assert json.loads(rie.invoke(http_api(Wire())))["statusCode"] == 200


@needs_emulator
def test_the_emulator_takes_a_streamed_answer(emulated: Any) -> None:
    rie = emulated(["-m", "portway.awslambda", "fn:asgi"], PORTWAY_RESPONSE_MODE="stream")
    for _ in range(2):
        prelude, nul, body = rie.invoke(function_url(Wire(path="/events"))).partition(b"\0" * 8)
        assert nul and json.loads(prelude)["statusCode"] == 200
        assert body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n1"


@needs_emulator
@needs("awslambdaric")
def test_the_emulator_refuses_what_portways_refuses_of_extensions(emulated: Any, tmp_path: Path) -> None:
    (tmp_path / "inside.py").write_text(INTERNAL)
    rie = emulated(["-m", "awslambdaric", "inside.handler"])
    assert json.loads(rie.invoke("seen"))[1:] == REFUSED
    assert json.loads(rie.invoke("late")) == [403, "Extension.RegistrationClosed"]


@needs_emulator
def test_the_emulator_registers_the_extension_and_sends_sigterm(emulated: Any) -> None:
    rie = emulated(["-m", "portway.awslambda", "fn:asgi"])
    assert json.loads(rie.invoke(http_api(Wire())))["statusCode"] == 200
    rie.process.terminate()
    rie.process.wait(20)
    assert "lifespan is shut down" in rie.log.read_text()


OF_EMULATORS = """
import os, signal, sys, threading

def handler(event, context):
    what = event.get("do") if isinstance(event, dict) else None
    if what == "exit": os._exit(event["code"])
    if what == "sys.exit": sys.exit(3)
    if what == "kill": os.kill(os.getpid(), signal.SIGKILL)
    if what == "term": os.kill(os.getpid(), signal.SIGTERM)
    if what == "hang": threading.Event().wait()
    if what == "raise": raise ValueError("bad")
    if what == "large": return "x" * 7_000_000
    if what == "set": return {1}
    if what == "client": return context.client_context.custom
    return {"event": event}
"""
INVOCATIONS: list[bytes] = [
    b'{"a": [1, null, "\xc3\xa9"]}',
    b'{"do": "raise"}',
    b'{"do": "exit", "code": 1}',
    b'{"do": "exit", "code": 0}',
    b'{"do": "kill"}',
    b'{"do": "sys.exit"}',
    b'{"do": "term"}',
    b'{"do": "large"}',
    b'{"do": "set"}',
    b"not json",
    b"",
    b"[]",
]


@needs_emulator
@needs("awslambdaric")
def test_portways_emulator_answers_as_awss(tmp_path: Path) -> None:
    """The same function and invocations through `portway emulate` and through the real one."""
    ours = both_emulators(tmp_path, [*INVOCATIONS, b'{"do": "client"}'], "20")
    assert ours[-1] == (200, b'{"a": 1}')


@needs_emulator
@needs("awslambdaric")
def test_portways_emulator_gives_up_as_awss(tmp_path: Path) -> None:
    ours = both_emulators(tmp_path, [b'{"do": "hang"}'] * 2, "1")
    assert ours == [(200, b"Task timed out after 1.00 seconds")] * 2


def both_emulators(folder: Path, events: list[bytes], timeout: str) -> list[tuple[int, bytes]]:
    """Check that both answer alike; return the answers of Portway's."""
    for name in ("aws", "own"):
        (folder / name).mkdir()
        (folder / name / "fn.py").write_text(OF_EMULATORS)
    client = base64.b64encode(b'{"custom": {"a": 1}}').decode()
    rie = Emulator(folder / "aws", ["-m", "awslambdaric", "fn.handler"], AWS_LAMBDA_FUNCTION_TIMEOUT=timeout)
    try:
        theirs = [settled(rie, event, client) for event in events]
    finally:
        rie.close()
    options = ("--client", "aws", "--function-timeout", timeout, "--memory", "512")
    own = Served(folder / "own", "emulate", "fn:handler", *options)
    try:
        ours = [invoked(own.port, event, X_Amz_Client_Context=client) for event in events]
    finally:
        own.end()
    for event, their, our in zip(events, theirs, ours, strict=True):
        assert (our[0], same(our[1])) == (their[0], same(their[1])), event
    return ours


def settled(rie: Emulator, event: bytes, client: str) -> tuple[int, bytes]:
    """Return AWS's answer, asking again when it was still clearing up after the event before."""
    while True:
        status, body = rie.call(event, X_Amz_Client_Context=client)
        if not (status == 502 and b"ErrGateCanceled" in body):
            return status, body


@needs_emulator
@needs("awslambdaric")
def test_a_failed_initialisation_through_both_emulators(tmp_path: Path) -> None:
    for name in ("aws", "own"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "fn.py").write_text("raise LookupError('no DATABASE_URL')")
    rie = Emulator(tmp_path / "aws", ["-m", "awslambdaric", "fn.handler"])
    try:
        status, body = rie.call(b"{}")
    finally:
        rie.close()
    own = Served(tmp_path / "own", "emulate", "fn:handler", "--client", "aws")
    try:
        for _ in range(2):
            found = invoked(own.port, b"{}")
            assert found[0] == status == 502
            assert json.loads(found[1])["errorMessage"] == json.loads(body)["errorMessage"]
    finally:
        own.end()


def same(body: bytes) -> bytes:
    """Return an answer without what differs from one run to the next."""
    body = re.sub(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", b"ID", body)
    return re.sub(rb"/(aws|own)/fn.py", b"/fn.py", body)
