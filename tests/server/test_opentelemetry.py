"""Tracing without code: `opentelemetry-instrument portway serve`, against a real collector's address."""

from __future__ import annotations

import http.server
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.client import Client
from tests.support.processes import Portway
from tests.support.waiting import wait_until

APPS = {
    "wsgi": """
import os
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
app = OpenTelemetryMiddleware(hello)
""",
    "asgi": """
import os
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
async def hello(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
app = OpenTelemetryMiddleware(hello)
""",
}


class Collector:
    """Takes what an OTLP exporter sends.

    Attributes:
        spans: The names of server spans.
    """

    def __init__(self) -> None:
        self.spans: list[str] = []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Print nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)

    def take(self, request: ExportTraceServiceRequest) -> None:
        """Note the server spans of a request."""
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.spans += [span.name for span in scope.spans if span.kind == span.SPAN_KIND_SERVER]


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector that listens."""
    made = Collector()
    made.thread.start()
    yield made
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


@pytest.mark.parametrize("kind", APPS)
def test_every_request_of_every_worker_becomes_a_span(
    kind: str, collector: Collector, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(APPS[kind])
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server.server_address[1]}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_SERVICE_NAME": "test",
    }
    programs = Path(sys.executable).parent
    command = [
        *(str(programs / "opentelemetry-instrument"), str(programs / "portway"), "serve"),
        *(f"{tmp_path / 'app.py'}:app", "--workers", "2", "--bind", "127.0.0.1:0"),
    ]
    with Portway("", command=command, env=env) as server:
        server.ready()
        for _ in range(20):
            with Client(server.address) as client:
                assert client.get("/").status == 200
        wait_until(lambda: len(collector.spans) >= 20, "twenty spans")
        assert all(span.startswith("GET") for span in collector.spans)
        assert server.stop() == 0
    assert len(collector.spans) == 20
