"""An API Gateway WebSocket API as an ASGI websocket.

API Gateway holds the connection; the function gets one event for the handshake, one for each message
and one for the end, in any environment. The application's coroutine is kept between the events of a
connection. An environment that does not have it starts one again from the handshake, which a `Store`
remembers, and drops what the application sends before it first waits (it has been sent once already).
State that must survive a change of environment belongs into a database, as on any fleet of servers.

What the application sends goes through the management API. During the handshake that API does not
know the connection yet: such messages wait for the connection's next event.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict

from .asgi import scope_of
from .events import websocket as events
from .events.request import body_bytes
from .logs import error as log
from .logs import notice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, Protocol

    from .events.request import Event
    from .lifespan import Lifespan
    from .loop import Loop
    from .options import Options

    class Poster(Protocol):
        """Sends to connections. An OSError says that the client is gone."""

        def post(self, endpoint: str, connection_id: str, data: bytes) -> None:
            """Send one message."""

        def close(self, endpoint: str, connection_id: str) -> None:
            """Close the connection."""

    class Store(Protocol):
        """Remembers handshakes for environments that did not see them."""

        def save(self, connection_id: str, handshake: Event) -> None:
            """Remember a handshake."""

        def load(self, connection_id: str) -> Event | None:
            """Return a handshake, or None."""

        def delete(self, connection_id: str) -> None:
            """Forget a handshake."""


_HELD_MOST = 1000
"""Connections whose coroutines one environment keeps; the oldest is ended for a new one."""
_TURNS = 5
"""Turns of the loop that an application's other tasks get after its receiver waits again."""


class ClientGone(ConnectionError):
    """The client has closed the connection (ASGI: send() raises OSError then)."""


class ManagementAPI:
    """The default `Poster`: boto3, imported when the first message is sent."""

    def __init__(self) -> None:
        self._clients: dict[str, Any] = {}

    def post(self, endpoint: str, connection_id: str, data: bytes) -> None:
        """Send one message."""
        self._call(endpoint, "post_to_connection", ConnectionId=connection_id, Data=data)

    def close(self, endpoint: str, connection_id: str) -> None:
        """Close the connection."""
        self._call(endpoint, "delete_connection", ConnectionId=connection_id)

    def _call(self, endpoint: str, operation: str, **arguments: Any) -> None:
        client = self._clients.get(endpoint)
        if client is None:
            import boto3  # type: ignore[import-not-found,import-untyped,unused-ignore]

            client = self._clients[endpoint] = boto3.client("apigatewaymanagementapi", endpoint_url=endpoint)
        try:
            getattr(client, operation)(**arguments)
        except client.exceptions.GoneException:
            raise ClientGone(f"the connection {arguments['ConnectionId']} is closed") from None


class _Nowhere:
    """The default `Store`: handshakes are known to the environment that saw them, and to no other."""

    def save(self, connection_id: str, handshake: Event) -> None:
        pass

    def load(self, connection_id: str) -> Event | None:
        return None

    def delete(self, connection_id: str) -> None:
        pass


class Connection:
    """One connection's coroutine. Belongs to the loop's thread.

    Attributes:
        accepted: Whether the application has accepted the handshake.
        closed: Whether either side has ended the connection.
        subprotocol: What the application chose, or "".
    """

    def __init__(self, post: Callable[[bytes], None], close: Callable[[], None], resumed: bool) -> None:
        self._post = post
        self._close = close
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._waiting = asyncio.Event()
        self._silent = resumed
        self._holding = not resumed
        self._held: list[bytes] = []
        self.task: asyncio.Task[None] | None = None
        self.accepted = False
        self.closed = False
        self.subprotocol = ""

    async def run(self, app: Callable[..., Awaitable[None]], scope: dict[str, Any]) -> None:
        """Start the application and let it decide the handshake."""
        self.task = asyncio.ensure_future(app(scope, self._receive, self._send))
        await self.feed({"type": "websocket.connect"})
        self._silent = False

    async def feed(self, message: dict[str, Any]) -> None:
        """Give the application a message, and return when it waits for the next one or has ended.

        Raises:
            Exception: What the application raised.
        """
        task = self.task
        assert task is not None
        self._waiting.clear()
        self._inbox.put_nowait(message)
        waiter = asyncio.ensure_future(self._waiting.wait())
        await asyncio.wait((task, waiter), return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        if task.done():
            self.closed = True
            task.result()

    def flush(self) -> None:
        """Send what the application sent while the handshake was open."""
        self._holding = False
        held, self._held = self._held, []
        for data in held:
            self._post(data)

    async def end(self) -> None:
        """Cancel the application when it has not ended by itself."""
        task = self.task
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait((task,), timeout=1)

    async def _receive(self) -> dict[str, Any]:
        if self._inbox.empty():
            self._waiting.set()
        return await self._inbox.get()

    async def _send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "websocket.accept" and not self.accepted and not self.closed:
            self.accepted = True
            self.subprotocol = message.get("subprotocol") or ""
        elif kind == "websocket.send" and self.accepted:
            self._pass_on(message)
        elif kind == "websocket.close" and not self.closed:
            self.closed = True
            if self.accepted and not self._silent:
                self._close()
        else:
            raise RuntimeError(f"{kind} was sent out of turn")

    def _pass_on(self, message: dict[str, Any]) -> None:
        if self.closed:
            raise ClientGone("the connection is closed")
        text = message.get("text")
        data = text.encode() if text is not None else message["bytes"]
        if self._silent:
            return
        if self._holding:
            self._held.append(data)
            return
        try:
            self._post(data)
        except OSError:
            self.closed = True
            raise


class WebSockets:
    """The connections of one environment. Belongs to the handler's thread."""

    def __init__(
        self,
        app: Any,
        interface: str,
        loop: Loop,
        lifespan: Lifespan | None,
        options: Options,
        poster: Poster | None,
        store: Store | None,
    ) -> None:
        self._app = app
        self._interface = interface
        self._loop = loop
        self._lifespan = lifespan
        self._options = options
        self._poster: Poster = ManagementAPI() if poster is None else poster
        self._store: Store = _Nowhere() if store is None else store
        self._held: OrderedDict[str, Connection] = OrderedDict()

    def handle(self, event: Event, context: Any) -> dict[str, Any]:
        """Answer one event of a connection; a failure of the application closes it."""
        if self._interface != "asgi":
            notice("websocket", "a WSGI application cannot take the connections of a WebSocket API")
            return {"statusCode": 501}
        identifier = events.connection_id(event)
        try:
            return self._loop.run(self._handled(identifier, event, context))
        except Exception:
            log(f"the application failed on the connection {identifier}")
            connection = self._held.pop(identifier, None)
            if connection is not None and connection.accepted:
                self._shut(event, identifier)
            return {"statusCode": 500}

    async def _handled(self, identifier: str, event: Event, context: Any) -> dict[str, Any]:
        kind = events.kind_of(event)
        if kind == "CONNECT":
            return await self._connect(identifier, event, context)
        connection = self._held.get(identifier)
        if connection is None:
            connection = await self._opened(
                identifier, event, self._store.load(identifier) or event, context, True
            )
        if kind == "DISCONNECT":
            await self._disconnect(identifier, event, connection)
        elif not connection.closed:
            connection.flush()
            await connection.feed(_message(event))
        if connection.closed:
            self._held.pop(identifier, None)
            await connection.end()
        return {"statusCode": 200}

    async def _connect(self, identifier: str, event: Event, context: Any) -> dict[str, Any]:
        connection = await self._opened(identifier, event, event, context, False)
        if not connection.accepted:
            self._held.pop(identifier, None)
            await connection.end()
            return {"statusCode": 403}
        self._store.save(identifier, event)
        if connection.subprotocol:
            return {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": connection.subprotocol}}
        return {"statusCode": 200}

    async def _disconnect(self, identifier: str, event: Event, connection: Connection) -> None:
        context = event["requestContext"]
        code = context.get("disconnectStatusCode") or 1005
        reason = context.get("disconnectReason") or ""
        self._held.pop(identifier, None)
        self._store.delete(identifier)
        if not connection.closed:
            connection.closed = True
            await connection.feed({"type": "websocket.disconnect", "code": code, "reason": reason})
        await connection.end()

    async def _opened(
        self, identifier: str, event: Event, handshake: Event, context: Any, resumed: bool
    ) -> Connection:
        """Start a coroutine for a connection, and make room for it among those held."""
        endpoint = events.endpoint(event, os.environ.get("AWS_REGION", ""))
        connection = Connection(
            lambda data: self._poster.post(endpoint, identifier, data),
            lambda: self._poster.close(endpoint, identifier),
            resumed,
        )
        if len(self._held) >= _HELD_MOST:
            _, oldest = self._held.popitem(last=False)
            await oldest.end()
        self._held[identifier] = connection
        await connection.run(self._app, self._scope(handshake, context))
        return connection

    def _scope(self, handshake: Event, context: Any) -> dict[str, Any]:
        request = events.handshake(handshake, self._options.websocket_path, self._options.root_path)
        scope = scope_of(request, context, "websocket")
        del scope["method"]
        offered = ",".join(request.values("sec-websocket-protocol"))
        scope["subprotocols"] = [word.strip() for word in offered.split(",") if word.strip()]
        if self._lifespan is not None and self._lifespan.state is not None:
            scope["state"] = self._lifespan.state.copy()
        return scope

    def _shut(self, event: Event, identifier: str) -> None:
        try:
            self._poster.close(events.endpoint(event, os.environ.get("AWS_REGION", "")), identifier)
        except OSError:
            pass  # the client was faster


def _message(event: Event) -> dict[str, Any]:
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        return {"type": "websocket.receive", "bytes": body_bytes(events.NAME, body, True)}
    return {"type": "websocket.receive", "text": body}
