"""One event of an HTTP API, as a browser's request makes it, and the smallest applications."""

from __future__ import annotations

from typing import Any

HEADERS = {
    "accept": "text/html,application/xhtml+xml",
    "accept-encoding": "gzip, deflate, br",
    "accept-language": "en-US,en;q=0.9",
    "cache-control": "max-age=0",
    "content-length": "0",
    "host": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
    "sec-fetch-mode": "navigate",
    "upgrade-insecure-requests": "1",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0",
    "x-amzn-trace-id": "Root=1-6a5145a9-1bae89e2512ec92d5d9438a0",
    "x-forwarded-for": "203.0.113.7",
    "x-forwarded-port": "443",
    "x-forwarded-proto": "https",
}
EVENT: dict[str, Any] = {
    "version": "2.0",
    "routeKey": "$default",
    "rawPath": "/items/42",
    "rawQueryString": "a=1&b=2",
    "cookies": ["session=abc", "theme=dark"],
    "headers": HEADERS,
    "queryStringParameters": {"a": "1", "b": "2"},
    "requestContext": {
        "accountId": "123456789012",
        "apiId": "a1b2c3d4e5",
        "domainName": HEADERS["host"],
        "http": {"method": "GET", "path": "/items/42", "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7"},
        "requestId": "JKJaXmPLvHcESHA=",
        "routeKey": "$default",
        "stage": "$default",
    },
    "isBase64Encoded": False,
}


class Context:
    """Lambda's context object, with all the time in the world."""

    aws_request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left."""
        return 30_000


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer 13 bytes."""
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", "13")])
    return [b"Hello, World!"]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer 13 bytes, with a lifespan that does nothing."""
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"13")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"Hello, World!"})
