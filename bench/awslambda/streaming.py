"""Milliseconds from an event to the first byte of its streamed answer, the runtime client included."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from statistics import median

from bench.awslambda.event import EVENT

APP = """
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for number in range(3):
        await send({"type": "http.response.body", "body": b"piece", "more_body": True})
    await send({"type": "http.response.body"})
"""


def _request(connection: socket.socket) -> tuple[bytes, bytes]:
    """Read a head, and what arrived with it."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def measured(rounds: int, directory: str) -> float:
    """Return the median milliseconds until the first byte of the body."""
    with open(os.path.join(directory, "streamed.py"), "w") as file:
        file.write(APP)
    event = {**EVENT, "requestContext": {**EVENT["requestContext"], "accountId": "anonymous"}}
    body = json.dumps(event).encode()
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: r-1\r\n"
        f"Lambda-Runtime-Deadline-Ms: {int(time.time() * 1000) + 600_000}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    found = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        environ = {
            **os.environ,
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.getsockname()[1]}",
            "PORTWAY_RESPONSE_MODE": "stream",
            "PYTHONPATH": os.pathsep.join(filter(None, [directory, *sys.path])),
        }
        command = [sys.executable, "-m", "portway.awslambda", "streamed:app"]
        process = subprocess.Popen(command, env=environ)
        try:
            asking, _ = server.accept()
            for _ in range(rounds):
                _request(asking)
                started = time.perf_counter()
                asking.sendall(head.encode() + body)
                answering, _ = server.accept()
                _, data = _request(answering)
                while b"piece" not in data:
                    data += answering.recv(65536)
                found.append(time.perf_counter() - started)
                while b"\r\n0\r\n\r\n" not in data:
                    data += answering.recv(65536)
                answering.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
                answering.close()
        finally:
            process.kill()
            process.wait()
    return median(found) * 1000
