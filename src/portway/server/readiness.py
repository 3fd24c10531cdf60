"""`--ready-check`: a worker asks its own application for a page before it takes part.

The application is called as the engine would call it, in the worker's own process, with no socket in
between: so nothing that a client could see, log or block is involved. Whoever calls this bounds the
time (`--startup-timeout`).
"""

from __future__ import annotations

import io
import sys
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from portway.apps import Application
from portway.apps.importing import own_traceback, summary
from portway.errors import StartupFailed, shown

_HINT = "--ready-check names the path; the application has to answer 2xx or 3xx there."


class _Request:
    """What both interfaces are told about the request."""

    def __init__(self, target: str, root_path: str) -> None:
        url = urlsplit(target)
        self.target = target
        self.scheme = url.scheme or "http"
        self.host = url.netloc or "localhost"
        self.name = url.hostname or "localhost"
        self.port = url.port or (443 if self.scheme == "https" else 80)
        self.path = unquote_to_bytes(url.path)
        self.raw_path = url.path.encode()
        self.query = url.query
        self.root_path = root_path

    def judge(self, status: int) -> None:
        if not 200 <= status <= 399:
            answered = f"answered {status}" if status else "did not answer"
            raise StartupFailed(f"the application {answered} to the ready check {shown(self.target)}", _HINT)

    def failed(self, error: BaseException) -> StartupFailed:
        text = f"the application failed at the ready check {shown(self.target)}: {summary(error)}"
        return StartupFailed(text, details=own_traceback(error))


def check_wsgi(application: Application, target: str, root_path: str) -> None:
    """Ask a WSGI application.

    Raises:
        StartupFailed: It raised, or answered with another status.
    """
    request = _Request(target, root_path)
    statuses: list[str] = []

    def start_response(status: str, headers: object, exc_info: object = None) -> Any:
        statuses.append(status)
        return lambda data: None

    try:
        result = application.app(_environ(request), start_response)
        try:
            for _ in result:
                pass
        finally:
            if hasattr(result, "close"):
                result.close()
    except (Exception, SystemExit) as error:
        raise request.failed(error) from error
    request.judge(int(statuses[-1][:3]) if statuses else 0)


def _environ(request: _Request) -> dict[str, Any]:
    root = request.root_path
    path = request.path.decode("latin-1")
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": root,
        "PATH_INFO": path.removeprefix(root) if root and path.startswith(root + "/") else path,
        "QUERY_STRING": request.query,
        "SERVER_NAME": request.name,
        "SERVER_PORT": str(request.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": request.host,
        "HTTP_USER_AGENT": "portway-ready-check",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


async def check_asgi(application: Application, target: str, root_path: str, state: Any) -> None:
    """Ask an ASGI application.

    Args:
        application: The application.
        target: A path or a URL.
        root_path: Where the application is mounted.
        state: What its lifespan left, or None.

    Raises:
        StartupFailed: It raised, or answered with another status.
    """
    from asyncio import Event  # late: the WSGI side does without

    request = _Request(target, root_path)
    status = 0
    received = 0

    async def receive() -> dict[str, Any]:
        nonlocal received
        received += 1
        if received == 1:
            return {"type": "http.request", "body": b"", "more_body": False}
        await Event().wait()  # the client stays; nothing more comes
        raise AssertionError("unreachable")

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = int(message["status"])

    try:
        await application.app(_scope(request, state), receive, send)
    except (Exception, SystemExit) as error:
        raise request.failed(error) from error
    request.judge(status)


def _scope(request: _Request, state: Any) -> dict[str, Any]:
    path = request.path.decode("utf-8", "replace")
    root = request.root_path
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": request.scheme,
        "path": path if not root or path.startswith(root + "/") else root + path,
        "raw_path": request.raw_path,
        "query_string": request.query.encode(),
        "root_path": root,
        "headers": [(b"host", request.host.encode()), (b"user-agent", b"portway-ready-check")],
        "client": ("127.0.0.1", 0),
        "server": (request.name, request.port),
        "extensions": {},
    }
    if state is not None:
        scope["state"] = dict(state)
    return scope
