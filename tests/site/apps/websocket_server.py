"""A WebSocket server by the `websockets` library that is a plain one, too: as front-end dev servers are.

It prints its port, and, for each connection, why it ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import sys

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

PAGE = b"<!doctype html><script>new WebSocket(location)</script>\n"


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def talk(connection: ServerConnection) -> None:
    """Send everything back; "close me" closes."""
    with contextlib.suppress(ConnectionClosed):
        async for message in connection:
            if message == "close me":
                await connection.close(4000, "as you wish")
                break
            await connection.send(message)
    await connection.wait_closed()
    say(f"closed {connection.close_code}")


def answer(connection: ServerConnection, request: Request) -> Response | None:
    """Send the page to whoever does not ask for a WebSocket; refuse one below /refused."""
    if request.path.startswith("/refused"):
        return Response(http.HTTPStatus.FORBIDDEN, "Forbidden", Headers({"Content-Length": "2"}), b"no")
    if request.headers.get("Upgrade", "").lower() == "websocket":
        return None
    fields = {"Content-Type": "text/html", "Content-Length": str(len(PAGE))}
    return Response(http.HTTPStatus.OK, "OK", Headers(fields), PAGE)


async def main() -> None:
    """Serve until killed."""
    async with serve(talk, "127.0.0.1", 0, process_request=answer, max_size=None) as server:
        say(str(next(iter(server.sockets)).getsockname()[1]))
        await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
