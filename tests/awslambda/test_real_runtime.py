"""The same recordings through AWS's own runtime client and emulator, and through Portway's."""

from __future__ import annotations

import http.client
import json
import os
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
from tests.awslambda.functions import FN
from tests.awslambda.peers import emulator, needs, needs_emulator
from tests.awslambda.runtime_api import SOURCE, Function, Posted, RuntimeAPIServer

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
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        connection.request("POST", "/2015-03-31/functions/function/invocations", json.dumps(event))
        body = connection.getresponse().read()
        connection.close()
        return body

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
def test_the_emulator_registers_the_extension_and_sends_sigterm(emulated: Any) -> None:
    rie = emulated(["-m", "portway.awslambda", "fn:asgi"])
    assert json.loads(rie.invoke(http_api(Wire())))["statusCode"] == 200
    rie.process.terminate()
    rie.process.wait(20)
    assert "lifespan is shut down" in rie.log.read_text()
