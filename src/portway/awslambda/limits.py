"""Answers against the size limits of the services, and compression where it makes the difference.

Lambda counts the bytes of the answer's JSON. A service that gets more answers 502 and says nothing;
here the client gets a 500 that names the limit, and the log the size.
"""

from __future__ import annotations

import gzip
import json
from importlib import import_module

from .errors import ReplyTooLarge
from .events.reply import Reply, is_text, reply_with

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .events.request import Request
    from .events.source import Source


def size_of(answer: Any) -> int:
    """Return the bytes of an answer as Lambda's own runtime for Python 3.12 and later writes it."""
    return len(json.dumps(answer, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def fitted(source: Source, request: Request, reply: Reply, compress: bool) -> dict[str, Any]:
    """Return the answer when it fits the source's limit, compressed if only that makes it fit.

    Raises:
        ReplyTooLarge: It does not fit either way.
    """
    answer = source.answer(request, reply)
    limit = source.limit_of(request)
    size = size_of(answer)
    if size <= limit:
        return answer
    smaller = compressed(request, reply) if compress else None
    if smaller is not None:
        answer = source.answer(request, smaller)
        if size_of(answer) <= limit:
            return answer
    raise ReplyTooLarge(size, limit, source.service)


def compressed(request: Request, reply: Reply) -> Reply | None:
    """Return the reply in the best content encoding the client takes, or None when it may not be encoded.

    RFC 9110: a strong validator names these exact bytes (section 8.8.1), so it becomes a weak one; a
    206 is a part of other bytes; no-transform (RFC 9111, section 5.2.2.6) forbids it.
    """
    known = reply.known
    if (
        reply.status == 206
        or "content-encoding" in known
        or "content-range" in known
        or "no-transform" in known.get("cache-control", "").lower()
        or not (
            is_text(known.get("content-type", "")) or known.get("content-type", "").startswith("image/svg")
        )
    ):
        return None
    for name, encode in (("br", _brotli), ("zstd", _zstd), ("gzip", _gzip)):
        if _accepts(request, name):
            encoder = encode()
            if encoder is not None:
                return _encoded(reply, name, encoder(reply.body))
    return None


def _accepts(request: Request, coding: str) -> bool:
    """Tell whether Accept-Encoding takes a coding (RFC 9110, section 12.5.3); "*" is not taken as consent."""
    for item in ",".join(request.values("accept-encoding")).split(","):
        name, *parameters = item.split(";")
        if name.strip().lower() in (coding, f"x-{coding}"):
            quality = next((p.strip()[2:] for p in parameters if p.strip().lower().startswith("q=")), "1")
            return quality.strip("0. ") != ""
    return False


def _encoded(reply: Reply, coding: str, body: bytes) -> Reply:
    fields = []
    for name, value in reply.fields:
        if name == "etag" and not value.startswith("W/"):
            value = f"W/{value}"
        if name not in ("content-length", "vary"):
            fields.append((name, value))
    vary = [value for name, value in reply.fields if name == "vary"]
    if not any(word.strip().lower() in ("accept-encoding", "*") for line in vary for word in line.split(",")):
        vary.append("Accept-Encoding")
    fields += [("vary", ", ".join(vary)), ("content-encoding", coding)]
    return reply_with(reply.status, reply.reason, fields, body)


def _gzip() -> Callable[[bytes], bytes]:
    # Level 6 and no time stamp: equal answers give equal bytes.
    return lambda body: gzip.compress(body, 6, mtime=0)


def _brotli() -> Callable[[bytes], bytes] | None:
    for name in ("brotli", "brotlicffi"):
        try:
            module: Any = import_module(name)
        except ImportError:
            continue
        return lambda body, module=module: module.compress(body, quality=5)  # type: ignore[misc]
    return None


def _zstd() -> Callable[[bytes], bytes] | None:
    try:
        module: Any = import_module("compression.zstd")  # Python 3.14
        return lambda body: module.compress(body)
    except ImportError:
        pass
    try:
        module = import_module("zstandard")
        return lambda body: module.ZstdCompressor().compress(body)
    except ImportError:
        return None
