"""Bodies of several shapes: /echo, /10k, /1m, and /pieces in 100 messages."""

from bench.apps.bodies_wsgi import ONE_M, PIECE, TEN_K
from bench.apps.lifespan import lifespan

PLAIN = (b"content-type", b"application/octet-stream")


async def reply(send, body):  # type: ignore[no-untyped-def]
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [PLAIN, length]})
    await send({"type": "http.response.body", "body": body})


async def echo(receive, send):  # type: ignore[no-untyped-def]
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    await reply(send, b"".join(parts))


async def ten_k(receive, send):  # type: ignore[no-untyped-def]
    await reply(send, TEN_K)


async def one_m(receive, send):  # type: ignore[no-untyped-def]
    await reply(send, ONE_M)


async def pieces(receive, send):  # type: ignore[no-untyped-def]
    await send({"type": "http.response.start", "status": 200, "headers": [PLAIN]})
    for _ in range(100):
        await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


ROUTES = {"/echo": echo, "/10k": ten_k, "/1m": one_m, "/pieces": pieces}


async def app(scope, receive, send):  # type: ignore[no-untyped-def]
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    else:
        await ROUTES[scope["path"]](receive, send)
