"""An ASGI application whose output breaks a rule of ASGI or of HTTP, another one on each path."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from tests.engine.apps.asgi_base import Message, Receive, Send, answer, body, do_hello, start

HELLO = {"type": "http.response.body", "body": b"hello"}


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Do what the path says."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    name = scope["path"].strip("/").replace("-", "_")
    await globals().get(f"do_{name}", do_hello)(scope, receive, send)


def hostile(scope: Message) -> Any:
    """Return the bytes that the query holds in hexadecimal, or something that is no bytes at all."""
    text = bytes.fromhex(scope["query_string"].decode())
    return {b"None": None, b"int": 200, b"str": "text", b"tuple": (b"a", b"b")}.get(text, text)


# -- lengths that are not true


async def do_too_long(scope: Message, receive: Receive, send: Send) -> None:
    await start(send, 200, (b"content-length", b"5"))
    await body(send, b"hello and much more")


async def do_too_long_in_pieces(scope: Message, receive: Receive, send: Send) -> None:
    await start(send, 200, (b"content-length", b"5"))
    for piece in (b"hel", b"lo and", b" much more", b"x" * 100_000):
        await body(send, piece, True)
    await body(send)


async def do_too_long_and_big(scope: Message, receive: Receive, send: Send) -> None:
    await start(send, 200, (b"content-length", b"20000"))
    await body(send, b"x" * 30_000, True)
    await body(send, b"y" * 30_000)


async def do_too_short(scope: Message, receive: Receive, send: Send) -> None:
    await start(send, 200, (b"content-length", b"10"))
    await body(send, b"hello")


async def do_too_short_in_pieces(scope: Message, receive: Receive, send: Send) -> None:
    await start(send, 200, (b"content-length", b"10"))
    await body(send, b"hel", True)
    await body(send, b"lo")


async def do_nothing_of_it(scope: Message, receive: Receive, send: Send) -> None:
    await start(send, 200, (b"content-length", b"10"))
    await body(send)


async def do_body_with_204(scope: Message, receive: Receive, send: Send) -> None:
    await start(send, 204, (b"content-length", b"5"))
    await body(send, b"hello")


async def do_body_with_304(scope: Message, receive: Receive, send: Send) -> None:
    await start(send, 304, (b"etag", b'"a"'))
    await body(send, b"hello", True)
    await body(send, b"again")


# -- heads that HTTP does not allow: the query holds what is put there


async def do_status(scope: Message, receive: Receive, send: Send) -> None:
    text = hostile(scope)
    status: Any = int(text) if isinstance(text, bytes) and text.lstrip(b"-").isdigit() else text
    await start(send, status)
    await body(send, b"hello")


async def do_field_name(scope: Message, receive: Receive, send: Send) -> None:
    await start(send, 200, (b"x-before", b"1"), (hostile(scope), b"1"), (b"x-after", b"1"))
    await body(send, b"hello")


async def do_field_value(scope: Message, receive: Receive, send: Send) -> None:
    await start(send, 200, (b"x-before", b"1"), (b"x", hostile(scope)), (b"x-after", b"1"))
    await body(send, b"hello")


async def do_content_length(scope: Message, receive: Receive, send: Send) -> None:
    await start(send, 200, (b"content-length", hostile(scope)))
    await body(send, b"hello")


async def do_trailer(scope: Message, receive: Receive, send: Send) -> None:
    await start(send, trailers=True)
    await body(send, b"hello")
    await send({"type": "http.response.trailers", "headers": [(hostile(scope), b"1")]})


async def do_early_hint(scope: Message, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.early_hint", "links": [hostile(scope)]})
    await answer(send, b"hello")


async def do_hop_by_hop(scope: Message, receive: Receive, send: Send) -> None:
    names = (b"transfer-encoding", b"keep-alive", b"upgrade", b"proxy-connection", b"connection")
    await start(send, 200, *((name, b"x") for name in names))
    await body(send, b"hello")


async def do_headers_none(scope: Message, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": None})
    await body(send, b"hello")


async def do_headers_not_pairs(scope: Message, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b", b"c")]})
    await body(send, b"hello")


async def do_headers_in_a_generator(scope: Message, receive: Receive, send: Send) -> None:
    fields = ((b"x-%d" % number, b"1") for number in range(3))
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await body(send, b"hello")


async def do_headers_as_lists(scope: Message, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [[b"x-0", bytearray(b"1")]]})
    await body(send, b"hello")


async def do_no_headers(scope: Message, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200})
    await body(send, b"hello")


# -- messages in the wrong place, or none


async def do_no_message(scope: Message, receive: Receive, send: Send) -> None:
    return


async def do_start_alone(scope: Message, receive: Receive, send: Send) -> None:
    await start(send)


async def do_body_first(scope: Message, receive: Receive, send: Send) -> None:
    await body(send, b"hello")


async def do_start_twice(scope: Message, receive: Receive, send: Send) -> None:
    await start(send)
    await start(send, 404)


async def do_unknown_message(scope: Message, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.push", "path": "/", "headers": []})


async def do_message_without_a_type(scope: Message, receive: Receive, send: Send) -> None:
    await send({"status": 200})


async def do_no_dict(scope: Message, receive: Receive, send: Any) -> None:
    await send(None)


async def do_status_missing(scope: Message, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "headers": []})


async def do_text_body(scope: Message, receive: Receive, send: Any) -> None:
    await start(send)
    await send({"type": "http.response.body", "body": "hello"})


async def do_trailers_unannounced(scope: Message, receive: Receive, send: Send) -> None:
    await start(send)
    await send({"type": "http.response.trailers", "headers": []})


async def do_raises(scope: Message, receive: Receive, send: Send) -> None:
    raise ValueError("raised on purpose\r\nwith a line of its own")


async def do_exits(scope: Message, receive: Receive, send: Send) -> None:
    raise SystemExit("an application may not stop the server")


async def do_unfinished(scope: Message, receive: Receive, send: Send) -> None:
    await start(send)
    await body(send, b"first", True)


async def do_raises_in_the_middle(scope: Message, receive: Receive, send: Send) -> None:
    await start(send)
    await body(send, b"first", True)
    raise ValueError("raised on purpose")


async def do_raises_in_the_middle_of_a_length(scope: Message, receive: Receive, send: Send) -> None:
    await start(send, 200, (b"content-length", b"10"))
    await body(send, b"first", True)
    raise ValueError("raised on purpose")


async def do_raises_when_the_client_must_read(scope: Message, receive: Receive, send: Send) -> None:
    await start(send)
    with contextlib.suppress(TimeoutError):
        while True:
            await asyncio.wait_for(body(send, b"x" * 500_000, True), 0.3)
    raise ValueError("raised on purpose")


async def do_body_after_the_end(scope: Message, receive: Receive, send: Send) -> None:
    await do_hello(scope, receive, send)
    await body(send, b"INJECTED")


async def do_start_after_the_end(scope: Message, receive: Receive, send: Send) -> None:
    await do_hello(scope, receive, send)
    await start(send, 404)


async def do_raises_after_the_end(scope: Message, receive: Receive, send: Send) -> None:
    await do_hello(scope, receive, send)
    raise ValueError("raised on purpose")


async def do_returns_something(scope: Message, receive: Receive, send: Send) -> Any:
    await do_hello(scope, receive, send)
    return ["not", "None"]


async def do_empty_pieces(scope: Message, receive: Receive, send: Send) -> None:
    """An empty piece must not look like the last chunk."""
    await start(send)
    for piece in (b"", b"a", b"", b"", b"b"):
        await body(send, piece, True)
    await body(send)


async def do_body_types(scope: Message, receive: Receive, send: Any) -> None:
    await start(send)
    await send({"type": "http.response.body", "body": bytearray(b"one "), "more_body": True})
    await send({"type": "http.response.body", "body": memoryview(b"two")})


async def do_defaults(scope: Message, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body"})
