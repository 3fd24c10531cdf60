"""Applications that record what they see, and the context object that Lambda hands to a function."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


class Context:
    """Lambda's context object, as far as a handler uses it."""

    def __init__(self, seconds: float = 30.0, request_id: str = "req-1") -> None:
        self.aws_request_id = request_id
        self._until = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left."""
        return max(0, int((self._until - time.monotonic()) * 1000))


@dataclass
class Seen:
    """A request as an application saw it, in the same words for both interfaces."""

    method: str
    root_path: str
    path: bytes
    query: bytes
    fields: dict[str, list[str]]
    body: bytes
    client: str
    host: str
    port: int
    scheme: str
    raw_path: bytes | None = None


@dataclass
class Application:
    """Answers with what it is told to, and records each request.

    Attributes:
        seen: The requests, in order.
        raw: The environ or scope of each.
    """

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=lambda: [("Content-Type", "text/plain")])
    body: bytes = b"ok"
    seen: list[Seen] = field(default_factory=list)
    raw: list[dict[str, Any]] = field(default_factory=list)

    def wsgi(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Be a WSGI application."""
        fields = {
            name[5:].lower().replace("_", "-"): [value]
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if key in environ:
                fields[key.lower().replace("_", "-")] = [environ[key]]
        self.raw.append(environ)
        self.seen.append(
            Seen(
                environ["REQUEST_METHOD"],
                environ["SCRIPT_NAME"],
                environ["PATH_INFO"].encode("latin-1"),
                environ["QUERY_STRING"].encode("latin-1"),
                fields,
                environ["wsgi.input"].read(),
                environ["REMOTE_ADDR"],
                environ["SERVER_NAME"],
                int(environ["SERVER_PORT"]),
                environ["wsgi.url_scheme"],
            )
        )
        start_response(f"{self.status} Status", self.headers)
        return [self.body]

    async def asgi(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Be an ASGI application."""
        assert scope["type"] == "http"
        fields: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            assert name == name.lower()
            fields.setdefault(name.decode(), []).append(value.decode("latin-1"))
        message = await receive()
        assert not message["more_body"]
        root = scope["root_path"]
        assert scope["path"].startswith(root)
        host, port = scope["server"]
        self.raw.append(scope)
        self.seen.append(
            Seen(
                scope["method"],
                root,
                scope["path"][len(root) :].encode(),
                scope["query_string"],
                fields,
                message["body"],
                scope["client"][0] if scope["client"] else "",
                host,
                port,
                scope["scheme"],
                scope["raw_path"],
            )
        )
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})
