"""ASGI `receive`: bodies in pieces, and http.disconnect when it is time."""

from __future__ import annotations

import asyncio

from tests.engine.apps.asgi_base import (
    Message,
    Receive,
    Send,
    answer,
    body,
    changed,
    happened,
    note,
    start,
    wait_for,
)


async def do_echo(scope: Message, receive: Receive, send: Send) -> None:
    """Send each piece back as it comes."""
    await start(send)
    while True:
        message = await receive()
        assert set(message) == {"type", "body", "more_body"}, message
        await body(send, message["body"], message["more_body"])
        if not message["more_body"]:
            return


async def do_receive_after_the_body(scope: Message, receive: Receive, send: Send) -> None:
    """The body's end is given once; what comes then waits until the client goes or the response is over."""
    first = await receive()
    assert first == {"type": "http.request", "body": b"", "more_body": False}, first
    waiting = asyncio.ensure_future(receive())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await answer(send, b"hello")
    assert await waiting == {"type": "http.disconnect"}
    assert await receive() == {"type": "http.disconnect"}
    await note("told-after-the-response")


async def do_wait_for_the_end(scope: Message, receive: Receive, send: Send) -> None:
    """Answer nothing until the client is gone."""
    await receive()
    await note("waiting")
    message = await receive()
    await note(f"end-{message['type']}")
    try:
        await answer(send, b"nobody")
    except OSError as error:
        await note(f"send-{type(error).__name__}")
        raise


async def do_upload_until_the_end(scope: Message, receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await note(f"upload-{message['type']}")
        if message["type"] == "http.disconnect":
            return


async def do_stream_until_the_end(scope: Message, receive: Receive, send: Send) -> None:
    await start(send)
    try:
        while True:
            await body(send, b"z" * 65536, True)
            await asyncio.sleep(0)
    except OSError as error:
        await note(f"stream-{type(error).__name__}")
        raise


async def do_two_wait(scope: Message, receive: Receive, send: Send) -> None:
    """Two tasks may wait for the same bytes; cancelling one leaves them to the other."""
    first, second = asyncio.ensure_future(receive()), asyncio.ensure_future(receive())
    await asyncio.sleep(0.05)
    first.cancel()
    await note("one-cancelled")
    message = await second
    await answer(send, message["body"])


async def do_timeout(scope: Message, receive: Receive, send: Send) -> None:
    """A wait that is given up takes nothing with it."""
    try:
        await asyncio.wait_for(receive(), 0.05)
    except TimeoutError:
        await note("timed-out")
    message = await receive()
    await answer(send, message["body"])


async def do_wait_for_note(scope: Message, receive: Receive, send: Send) -> None:
    """Go on working when the client is gone: that is the application's to decide."""
    await note("begun")
    await wait_for("go-on")
    await note("went-on")


async def do_slow_reader(scope: Message, receive: Receive, send: Send) -> None:
    """Read a piece of the body whenever somebody notes it; tell how much there was at a time."""
    largest = total = 0
    more = True
    while more:
        async with changed:
            await changed.wait_for(lambda: happened["read"])
        message = await receive()
        more = message["more_body"]
        largest, total = max(largest, len(message["body"])), total + len(message["body"])
    await answer(send, f"{total} {largest}".encode())
