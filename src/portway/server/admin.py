"""The admin listener's application: health, metrics, status. ASGI, served by the monitor.

/livez         200 while the arbiter answers
/readyz        200 while new requests should be sent here, else 503 with the reason
/metrics       for Prometheus
/status.json   everything
/              a page that draws it
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from portway.engine.counters import Board
from portway.server.admin_hosts import AdminHosts
from portway.server.link import Link
from portway.server.logs import ErrorLog, escape
from portway.server.own_pages import own_page
from portway.server.status import status, unready

SILENT_S = 30.0
"""Seconds without a word of the arbiter, who speaks every few, after which it is not alive."""

PLAIN = b"text/plain; charset=utf-8"
NO_METRICS = b"metrics need the package prometheus-client: pip install 'portway[metrics]'\n"
STRANGE = b"the admin listener is not known by this name: --admin-host names more\n"

Send = Callable[[dict[str, Any]], Awaitable[None]]
Answer = tuple[int, bytes, bytes]
"""Status, content type, body."""


class Admin:
    """Owned by the monitor's event loop.

    Args:
        board: The shared counters.
        link: The way to the arbiter.
        log: The error log.
        hosts: Under which names it is asked; None: under any.
    """

    def __init__(self, board: Board, link: Link, log: ErrorLog, hosts: AdminHosts | None) -> None:
        self._hosts = hosts
        self._board = board
        self._link = link
        self._log = log
        page, policy = own_page("status.html")
        self._page, self._policy = page.encode(), policy.encode()
        self._routes: Mapping[str, Callable[[], Answer]] = {
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
            "/status.json": self._status,
            "/": lambda: (200, b"text/html; charset=utf-8", self._page),
        }
        self._told = False

    async def answer(self, scope: dict[str, Any], receive: object, send: Send) -> None:
        """Answer one request. Bodies are not read; the engine throws them away."""
        if scope["type"] != "http":
            return
        route = self._routes.get(scope["path"])
        host = next((value for name, value in scope["headers"] if name == b"host"), None)
        if self._hosts is not None and not self._hosts.known(host):
            status, kind, body = 421, PLAIN, STRANGE  # RFC 9110 section 15.5.20
        elif route is None:
            status, kind, body = 404, PLAIN, "".join(f"{path}\n" for path in self._routes).encode()
        elif scope["method"] not in ("GET", "HEAD"):
            status, kind, body = 405, PLAIN, b"GET and HEAD only\n"
        else:
            status, kind, body = route()
        headers = [
            (b"content-type", kind),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            (b"content-security-policy", self._policy),
        ]
        if status == 405:
            headers.append((b"allow", b"GET, HEAD"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _livez(self) -> Answer:
        silent_s = time.monotonic() - self._link.heard
        if silent_s > SILENT_S:
            return 503, PLAIN, f"no word of the arbiter for {silent_s:.0f} s\n".encode()
        return 200, PLAIN, b"alive\n"

    def _readyz(self) -> Answer:
        why = unready(self._board, self._link.state)
        return (503, PLAIN, f"{why}\n".encode()) if why else (200, PLAIN, b"ready\n")

    def _status(self) -> Answer:
        return 200, b"application/json", msgspec.json.encode(self._document())

    def _document(self) -> dict[str, Any]:
        return status(self._board, self._link.state, time.time())

    def _metrics(self) -> Answer:
        try:
            from portway.server import metrics
        except ImportError as error:
            if not self._told:
                self._told = True
                self._log.entry("warning", f"/metrics: {NO_METRICS.decode().rstrip()} ({escape(str(error))})")
            return 501, PLAIN, NO_METRICS
        return 200, metrics.CONTENT_TYPE, metrics.exposition(self._document())
