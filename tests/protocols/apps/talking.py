"""An ASGI application whose WebSockets do what their path says; over HTTP it tells what they said last."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ENDS: list[Message] = []
"""Why connections ended, in order."""
SEEN: list[str] = []
"""What else the paths have to tell."""


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Answer."""
    if scope["type"] == "lifespan":
        await live(scope, receive, send)
    elif scope["type"] == "http":
        if scope["path"] == "/forget":
            ENDS.clear()
            SEEN.clear()
        told = json.dumps({"pid": os.getpid(), "ends": ENDS, "seen": SEEN, "type": "http"}).encode()
        fields = [(b"content-length", str(len(told)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": told})
    else:
        if scope["path"] != "/accept-first":
            assert (await receive()) == {"type": "websocket.connect"}
        name = scope["path"].split("/")[1].replace("-", "_")
        await PATHS[name](scope, receive, send)


async def live(scope: Message, receive: Receive, send: Send) -> None:
    """The lifespan."""
    await receive()
    scope["state"]["greeting"] = "hello"
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Send everything back."""
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            ENDS.append(message)
            return
        await send({**message, "type": "websocket.send"})


async def facts(scope: Message, receive: Receive, send: Send) -> None:
    """Tell what the scope has."""
    chosen = scope["subprotocols"][-1] if scope["subprotocols"] else None
    await send({"type": "websocket.accept", "subprotocol": chosen, "headers": [(b"X-Seen", b"yes")]})
    told = {
        **scope,
        "headers": [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]],
        "raw_path": scope["raw_path"].decode(),
        "query_string": scope["query_string"].decode(),
    }
    await send({"type": "websocket.send", "text": json.dumps(told)})


async def refuse(scope: Message, receive: Receive, send: Send) -> None:
    """Close before accepting."""
    await send({"type": "websocket.close"})
    ENDS.append(await receive())


async def deny(scope: Message, receive: Receive, send: Send) -> None:
    """Refuse with a response of its own."""
    fields = [(b"content-type", b"text/plain"), (b"x-why", b"no")]
    await send({"type": "websocket.http.response.start", "status": 401, "headers": fields})
    await send({"type": "websocket.http.response.body", "body": b"not ", "more_body": True})
    await send({"type": "websocket.http.response.body", "body": b"you"})
    try:
        await send({"type": "websocket.accept"})
    except (OSError, RuntimeError) as error:
        SEEN.append(type(error).__name__)


async def forget(scope: Message, receive: Receive, send: Send) -> None:
    """Neither accept nor refuse."""


async def fail(scope: Message, receive: Receive, send: Send) -> None:
    """Fail before accepting."""
    raise ValueError("before")


async def fail_later(scope: Message, receive: Receive, send: Send) -> None:
    """Fail afterwards."""
    await send({"type": "websocket.accept"})
    raise ValueError("after")


async def leave(scope: Message, receive: Receive, send: Send) -> None:
    """Accept, say one thing, and return."""
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "bye"})


async def close(scope: Message, receive: Receive, send: Send) -> None:
    """Close, and see what can be done then."""
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": 4001, "reason": "enough"})
    try:
        await send({"type": "websocket.send", "text": "late"})
    except (OSError, RuntimeError) as error:
        SEEN.append(type(error).__name__)
    ENDS.append(await receive())
    SEEN.append((await receive())["type"])


async def close_wrongly(scope: Message, receive: Receive, send: Send) -> None:
    """Close with a code that none may send."""
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": 1006})


async def subprotocol(scope: Message, receive: Receive, send: Send) -> None:
    """Choose what nobody offered."""
    await send({"type": "websocket.accept", "subprotocol": "invented"})


async def reserved(scope: Message, receive: Receive, send: Send) -> None:
    """Send a field of the handshake."""
    await send({"type": "websocket.accept", "headers": [(b"Sec-WebSocket-Protocol", b"x")]})


async def split(scope: Message, receive: Receive, send: Send) -> None:
    """Try to send a second head."""
    await send({"type": "websocket.accept", "headers": [(b"x-a", b"b\r\nx-c: d")]})


async def slow(scope: Message, receive: Receive, send: Send) -> None:
    """Take messages only once a file is there; tell how many bytes came."""
    await send({"type": "websocket.accept"})
    while not os.path.exists(scope["query_string"].decode()):  # noqa: ASYNC110, ASYNC240
        await asyncio.sleep(0.01)
    count = 0
    while (message := await receive())["type"] == "websocket.receive":
        count += len(message["bytes"])
        SEEN[:] = [str(count)]
    ENDS.append(message)


async def flood(scope: Message, receive: Receive, send: Send) -> None:
    """Send more than any buffer holds; tell how far it came, and how it ended."""
    await send({"type": "websocket.accept"})
    try:
        for number in range(10_000):
            SEEN[:] = [str(number)]
            await send({"type": "websocket.send", "bytes": bytes(65536)})
    except OSError as error:
        SEEN.append(type(error).__name__)
        raise


async def accept_first(scope: Message, receive: Receive, send: Send) -> None:
    """Accept, wait until a message is there, and only then receive."""
    await send({"type": "websocket.accept"})
    await asyncio.sleep(0.05)
    await send({"type": "websocket.send", "text": (await receive())["type"]})
    await send({**(await receive()), "type": "websocket.send"})


async def broadcast(scope: Message, receive: Receive, send: Send) -> None:
    """Send again and again, whether or not what was sent before has left."""
    await send({"type": "websocket.accept"})
    tasks: list[asyncio.Future[None]] = []
    while not any(task.done() and task.exception() for task in tasks):
        tasks.append(asyncio.ensure_future(send({"type": "websocket.send", "bytes": bytes(100_000)})))
        await asyncio.sleep(0.1)
    SEEN.append("cut")
    await asyncio.gather(*tasks, return_exceptions=True)


async def take(scope: Message, receive: Receive, send: Send) -> None:
    """Take messages, and say nothing."""
    await send({"type": "websocket.accept"})
    while (await receive())["type"] == "websocket.receive":
        pass


async def deny_slowly(scope: Message, receive: Receive, send: Send) -> None:
    """Refuse with a response whose second half waits for a file."""
    await send({"type": "websocket.http.response.start", "status": 401})
    await send({"type": "websocket.http.response.body", "body": b"first", "more_body": True})
    while not os.path.exists(scope["query_string"].decode()):  # noqa: ASYNC110, ASYNC240
        await asyncio.sleep(0.01)
    await send({"type": "websocket.http.response.body", "body": b"last"})


async def loose(scope: Message, receive: Receive, send: Send) -> None:
    """Send what the specification leaves open."""
    await send({"type": "websocket.accept", "subprotocol": ""})
    await send({"type": "websocket.send", "bytes": b"bytes", "text": "text"})
    await send({"type": "websocket.send", "bytes": b"bytes", "text": None})
    await send({"type": "websocket.send", "bytes": None, "text": "text"})


async def deaf(scope: Message, receive: Receive, send: Send) -> None:
    """Accept, and take nothing ever."""
    await send({"type": "websocket.accept"})
    await asyncio.Event().wait()


async def concurrent(scope: Message, receive: Receive, send: Send) -> None:
    """Receive in one task and send in another, as chat servers do."""
    await send({"type": "websocket.accept"})

    async def tick() -> None:
        number = 0
        while True:
            await send({"type": "websocket.send", "text": f"tick {number}"})
            number += 1
            await asyncio.sleep(0.01)

    ticking = asyncio.create_task(tick())
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"].upper()})
    ticking.cancel()
    ENDS.append(message)


PATHS: dict[str, Callable[[Message, Receive, Send], Awaitable[None]]] = {
    function.__name__: function
    for function in (
        *(echo, facts, refuse, deny, forget, fail, fail_later, leave, close, close_wrongly, subprotocol),
        *(reserved, split, slow, flood, concurrent, accept_first, deaf, deny_slowly, loose, take, broadcast),
    )
}
