"""An ASGI application with `portway dev` around it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from portway.apps.importing import own_traceback
from portway.server.developing.answers import Answer, failed_answer, own_answer
from portway.server.developing.bulletin import Development
from portway.server.developing.visitors import Visitor, from_scope
from portway.server.reporter import Reporter

Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]

MOST_HELD = 64 * 1024
SAYS_NOTHING = b"Internal Server Error"
"""What Starlette, and so FastAPI, answers before it raises again. Anybody else's own page stays."""


class DevelopingASGI:
    """As `DevelopingWSGI`, for ASGI. WebSockets and the lifespan go to the application untouched.

    Args:
        app: The application.
        development: The worker's.
        generation: The worker's.
        reporter: Where failures are told.
    """

    def __init__(self, app: App, development: Development, generation: int, reporter: Reporter) -> None:
        self._app = app
        self._development = development
        self._generation = generation
        self._reporter = reporter

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        visitor = from_scope(scope) if scope["type"] == "http" else None
        if visitor is None or not visitor.is_local:
            await self._app(scope, receive, send)
            return
        own = own_answer(visitor, self._development, self._generation)
        if own is not None:
            await _respond(own, visitor, send)
            return
        held = _Held(send)
        try:
            await self._app(scope, receive, held.send)
        except Exception as error:
            if not held.replaceable:
                await held.release()
                raise
            self._reporter.application_error(error, visitor.request)
            answer = failed_answer(visitor, error, own_traceback(error), self._development)
            await _respond(answer, visitor, send)
        else:
            await held.release()


class _Held:
    """Passes a response on, but for one with status 500, which waits until the application has returned.

    Args:
        send: The engine's.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._messages: list[dict[str, Any]] = []
        self._passed = False

    @property
    def replaceable(self) -> bool:
        """Whether nothing has been sent, and nothing that says anything is held."""
        body = b"".join(message.get("body", b"") for message in self._messages)
        return not self._passed and (not self._messages or body == SAYS_NOTHING)

    async def send(self, message: dict[str, Any]) -> None:
        """Take a message of the application."""
        starts = message["type"] == "http.response.start"
        if not self._passed and not self._messages and starts and message["status"] == 500:
            self._messages.append(message)
            return
        if self._messages and message["type"] == "http.response.body":
            self._messages.append(message)
            if not message.get("more_body") and len(message.get("body", b"")) <= MOST_HELD:
                return
            await self.release()
            return
        await self.release()
        self._passed = True
        await self._send(message)

    async def release(self) -> None:
        """Send what is held."""
        messages, self._messages = self._messages, []
        for message in messages:
            self._passed = True
            await self._send(message)


async def _respond(answer: Answer, visitor: Visitor, send: Send) -> None:
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.fields]
    await send({"type": "http.response.start", "status": int(answer.status[:3]), "headers": headers})
    await send({"type": "http.response.body", "body": b"" if visitor.method == "HEAD" else answer.body})
