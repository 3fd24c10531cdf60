"""A Runtime API on a real socket, and functions served against it in processes of their own."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

SOURCE = str(Path(__file__).parents[2] / "src")
PREFIX = "/2018-06-01/runtime/"
WAIT_S = 20.0
TRACE = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1"


@dataclass
class Posted:
    """What a function posted.

    Attributes:
        path: Behind the version, "invocation/1/response" for example.
        headers: By name in lower case.
        chunks: The body as it arrived: (seconds since the event was fetched, bytes); one when not chunked.
        trailers: By name in lower case.
    """

    path: str
    headers: dict[str, str]
    chunks: list[tuple[float, bytes]]
    trailers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(chunk for _, chunk in self.chunks)

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RuntimeAPIServer

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        path = self.path.removeprefix(PREFIX)
        self.server.calls.append(f"GET {path}")
        if self.server.fault(self, path):
            return
        if self.path == "/2020-01-01/extension/event/next":
            self.server.stopped.wait(WAIT_S)
            return
        if path == "restore/next":
            self._answer(200, b"")
            return
        event = self.server.events.get()
        if event is None:
            self.close_connection = True
            return
        number, body, headers = event
        self.server.fetched[number] = time.monotonic()
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        path = self.path.removeprefix(PREFIX)
        self.server.calls.append(f"POST {path}")
        if self.path == "/2020-01-01/extension/register":
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(200, b"{}", **{"Lambda-Extension-Identifier": "ext-1"})
            return
        since = self.server.fetched.get(path.split("/")[1], time.monotonic()) if "/" in path else 0.0
        posted = Posted(path, {name.lower(): value for name, value in self.headers.items()}, [])
        if self.headers.get("Transfer-Encoding") == "chunked":
            self._read_chunks(posted, since)
        else:
            posted.chunks.append((0.0, self.rfile.read(int(self.headers.get("Content-Length", 0)))))
        if self.server.fault(self, path):
            return
        self.server.posted.put(posted)
        self._answer(202, b'{"status":"OK"}')

    def _read_chunks(self, posted: Posted, since: float) -> None:
        while size := int(self.rfile.readline(), 16):
            posted.chunks.append((time.monotonic() - since, self.rfile.read(size)))
            self.server.chunk_arrived.set()
            assert self.rfile.read(2) == b"\r\n"
        while (line := self.rfile.readline()) != b"\r\n":
            name, _, value = line.decode().partition(":")
            posted.trailers[name.strip().lower()] = value.strip()

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class RuntimeAPIServer(ThreadingHTTPServer):
    """Hands events to whatever fetches them and keeps what is posted. A context manager.

    Attributes:
        posted: What was posted, in order.
        calls: Every call, "GET invocation/next" for example.
        faults: Path → what to do instead of answering it, each once: a status, "reset" or "hang".
        chunk_arrived: Set at every chunk of a streamed answer.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self.events: queue.Queue[tuple[str, bytes, dict[str, str]] | None] = queue.Queue()
        self.posted: queue.Queue[Posted] = queue.Queue()
        self.calls: list[str] = []
        self.fetched: dict[str, float] = {}
        self.faults: dict[str, list[int | str]] = {}
        self.chunk_arrived = threading.Event()
        self.stopped = threading.Event()
        self._count = 0
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> RuntimeAPIServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopped.set()
        for _ in range(50):
            self.events.put(None)
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet: functions are killed in the middle of a call."""

    def send(self, event: Any, *, seconds: float = 30.0, **headers: str) -> str:
        """Queue an event; return its request id.

        Args:
            event: Anything JSON can hold, or bytes as they are.
            seconds: Time until its deadline.
            headers: More header fields, with "_" for "-".
        """
        self._count += 1
        number = f"8476a536-e9f4-11e8-9739-{self._count:012d}"
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        own = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": number,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + seconds) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:123456789012:function:f",
            "Lambda-Runtime-Trace-Id": TRACE,
        }
        own.update({name.replace("_", "-"): value for name, value in headers.items()})
        self.events.put((number, body, own))
        return number

    def get(self) -> Posted:
        """Return the next thing posted."""
        return self.posted.get(timeout=WAIT_S)

    def ask(self, event: Any, **options: Any) -> Posted:
        """Send an event and return what is posted for it."""
        number = self.send(event, **options)
        posted = self.get()
        assert number in posted.path, posted
        return posted

    def fault(self, handler: _Handler, path: str) -> bool:
        """Do what `faults` says for this path; tell whether that was anything."""
        kind = path.rpartition("/")[2]
        waiting = self.faults.get(kind)
        if not waiting:
            return False
        what = waiting.pop(0)
        if what == "hang":
            self.stopped.wait(WAIT_S)
            handler.close_connection = True
        elif what == "reset":
            handler.close_connection = True
            handler.connection.close()
        else:
            handler._answer(int(what), b'{"errorMessage":"no"}')
        return True


class Function:
    """A function in a process of its own. A context manager; ends it by its process id."""

    def __init__(self, directory: Path, api: RuntimeAPIServer, command: list[str], **environ: str) -> None:
        self.output: list[str] = []
        self._log = directory / f"log-{len(list(directory.glob('log-*')))}"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=directory,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": os.pathsep.join([str(directory), SOURCE, *filter(None, sys.path)]),
                    "AWS_LAMBDA_RUNTIME_API": api.address,
                    "AWS_LAMBDA_FUNCTION_NAME": "f",
                    "AWS_REGION": "eu-central-1",
                    **environ,
                },
            )

    def __enter__(self) -> Function:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(WAIT_S)

    def wait(self) -> int:
        """Return the exit status."""
        return self.process.wait(WAIT_S)

    def terminate(self) -> None:
        """Send SIGTERM, as Lambda does before it ends an environment."""
        self.process.send_signal(signal.SIGTERM)

    def log(self) -> str:
        """Return what it wrote to standard output and error."""
        return self._log.read_text()
