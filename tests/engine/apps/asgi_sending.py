"""ASGI `send`: backpressure, the extensions, and what is refused."""

from __future__ import annotations

import os
import tempfile

from tests.engine.apps.asgi_base import Message, Receive, Send, answer, body, do_hello, kept, start


async def do_backpressure(scope: Message, receive: Receive, send: Send) -> None:
    """Send 20 MB; note each piece that `send` let through."""
    await start(send)
    for _ in range(320):
        await body(send, b"z" * 65536, True)
        kept["sent"] = kept.get("sent", 0) + 65536
    await body(send)


async def do_sent(scope: Message, receive: Receive, send: Send) -> None:
    await answer(send, str(kept.get("sent", 0)).encode())


async def do_early_hint(scope: Message, receive: Receive, send: Send) -> None:
    await send(
        {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload", b"</a.js>; rel=preload"]}
    )
    await do_hello(scope, receive, send)


async def do_trailers(scope: Message, receive: Receive, send: Send) -> None:
    await start(send, 200, (b"trailer", b"x-sum, x-more"), trailers=True)
    await body(send, b"one ", True)
    await body(send, b"two")
    trailers = {"type": "http.response.trailers"}
    await send({**trailers, "headers": [(b"x-sum", b"6")], "more_trailers": True})
    await send({**trailers, "headers": [(b"x-more", b"1")]})


async def do_trailers_with_a_length(scope: Message, receive: Receive, send: Send) -> None:
    await start(send, 200, (b"content-length", b"5"), trailers=True)
    await body(send, b"hello")
    await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"6")]})


async def do_pathsend(scope: Message, receive: Receive, send: Send) -> None:
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(b"0123456789" * 300_000)
    await start(send)
    await send({"type": "http.response.pathsend", "path": file.name})
    os.unlink(file.name)


async def do_pathsend_of_nothing(scope: Message, receive: Receive, send: Send) -> None:
    await start(send)
    await send({"type": "http.response.pathsend", "path": "/nowhere/at/all"})


async def do_pathsend_of_a_directory(scope: Message, receive: Receive, send: Send) -> None:
    await start(send)
    await send({"type": "http.response.pathsend", "path": "/"})


async def do_zerocopysend(scope: Message, receive: Receive, send: Send) -> None:
    """Bytes, then parts of a file: at an offset, from its position, all of it."""
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(b"0123456789")
        await start(send)
        await body(send, b"bytes ", True)
        part: Message = {"type": "http.response.zerocopysend", "file": file, "more_body": True}
        await send({**part, "offset": 2, "count": 3})
        file.seek(8)
        await send(part)
        await send({**part, "file": file.fileno(), "offset": 0, "more_body": False})


async def do_zerocopysend_of_nonsense(scope: Message, receive: Receive, send: Send) -> None:
    """The query tells which key holds what nonsense."""
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(b"0123456789")
        key, _, value = scope["query_string"].decode().partition("=")
        message: Message = {"type": "http.response.zerocopysend", "file": file}
        message[key] = int(value) if value else None
        await start(send)
        await send(message)


async def do_head_is_not_sent_early(scope: Message, receive: Receive, send: Send) -> None:
    """http.response.start alone sends nothing: an application that fails then still gets its 500 out."""
    await start(send, 200, (b"x-never", b"sent"))
    raise ValueError("raised on purpose")


async def do_keep_send(scope: Message, receive: Receive, send: Send) -> None:
    kept["send"] = send
    await do_hello(scope, receive, send)


async def do_use_kept_send(scope: Message, receive: Receive, send: Send) -> None:
    outcomes = []
    for kind in (
        "http.response.start",
        "http.response.body",
        "http.response.early_hint",
        "http.response.trailers",
    ):
        try:
            await kept["send"]({"type": kind, "status": 200, "body": b"INJECTED", "links": [b"</injected>"]})
            outcomes.append("accepted")
        except Exception as error:
            outcomes.append(type(error).__name__)
    await answer(send, " ".join(outcomes).encode())
