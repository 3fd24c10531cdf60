"""Requests that ask for another protocol: a WebSocket is opened, for any other protocol Upgrade is ignored.

A server may do that (RFC 9110, section 7.8); it is also done where the library for WebSockets is missing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from portway.protocols.limits import Limits

UPGRADE = "portway.upgrade"
"""The key of a scope's extensions under which the engine offers the connection: its `Stream`."""

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
ASGIApplication = Callable[[Any, Any, Any], Awaitable[None]]
Notice = Callable[[str, str], None]


class Upgrades:
    """The application that an engine calls for requests that ask for another protocol (`engine.upgraded`).

    Args:
        app: The ASGI 3 application; it gets `websocket` scopes, and `http` scopes as always.
        limits: What a WebSocket may take, or None where there are none.
        notice: Takes a key and a line for the log, which has one line for each key.
        passed_on: Says of a scope whether the application itself has the connection (a proxy); None: never.
    """

    def __init__(
        self,
        app: ASGIApplication,
        limits: Limits | None,
        notice: Notice,
        passed_on: Callable[[Scope], bool] | None = None,
    ) -> None:
        self._app = app
        self._limits = limits
        self._notice = notice
        self._passed_on = passed_on

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request."""
        if self._passed_on is not None and self._passed_on(scope):
            return self._app(scope, receive, send)
        stream = scope["extensions"].pop(UPGRADE)
        if self._limits is None or not asks_for_websocket(scope):
            return self._app(scope, receive, send)
        try:
            # late: a server that is never asked for one starts without it
            from portway.protocols.websocket import WebSocket
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] != "websockets":
                raise
            text = "a client asked for a WebSocket, and the package websockets is not installed"
            self._notice("websockets", f"{text}: pip install 'portway[websockets]'")
            return self._app(scope, receive, send)
        return WebSocket(scope, stream, send, self._limits).run(self._app)


def asks_for_websocket(scope: Scope) -> bool:
    """Return whether a request is, or is meant as, an opening handshake (RFC 6455, section 4.1)."""
    if scope["method"] != "GET" or scope["http_version"] != "1.1":
        return False
    found = False
    for name, value in scope["headers"]:
        if name == b"upgrade":
            if found or value.strip().lower() != b"websocket":
                return False
            found = True
        elif name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0")):
            return False  # after a body, the change would be to come behind it
    return found
