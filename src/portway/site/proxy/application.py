"""The ASGI application of a proxy route: who is asked, and what the client hears where nobody answers.

What went wrong is in the log; the client gets 502, 504 or 508 and nothing else.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from hashlib import blake2s

import aiohttp

from portway.site.proxy.connections import Line, Pool
from portway.site.proxy.memo import Memo
from portway.site.proxy.passage import Failed, Passage, Receive, Scope, Send, reason
from portway.site.proxy.patrol import Patrol
from portway.site.proxy.upstreams import Upstream, Upstreams
from portway.site.site import ProxyTarget

_REASONS = {502: b"Bad Gateway\n", 504: b"Gateway Timeout\n", 508: b"Loop Detected\n"}


class Proxy:
    """Answers requests by asking upstreams. An ASGI 3 application with a lifespan; belongs to one event loop.

    Args:
        target: Whom to ask, and how.
        log: Takes one line about an upstream that failed.
    """

    def __init__(self, target: ProxyTarget, log: Callable[[str], None]) -> None:
        self._target = target
        self._log = log
        self._upstreams = Upstreams(target.upstreams)
        self._pools: dict[Upstream, Pool] = {}
        self.patrol = Patrol()
        self._memo = Memo(own_name(), keep_host=target.keep_host, strip=target.strip)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live through the lifespan."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        for upstream in self._upstreams:
            target = self._target
            self._pools[upstream] = Pool(upstream, target.connect_timeout_s, target.read_timeout_s)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for pool in self._pools.values():
            await pool.close()
        self.patrol.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        target = self._target
        request = self._memo.read(scope)
        passage = Passage(self, scope, request, receive, send, target.read_timeout_s)
        try:
            if request.loops:
                raise Failed(508, "the request has come round in a circle (Via)")
            await passage.run()
        except Failed as failure:
            self._log(f"{scope['method']} {scope['raw_path'][:200].decode('latin-1')}: {failure}")
            await _answer(send, failure.status)

    async def connect(self) -> tuple[Line, Upstream]:
        """Return a connection to the upstream whose turn it is, or to the next that takes one.

        Raises:
            Failed: None does.
        """
        loop = asyncio.get_running_loop()
        status, why = 502, ""
        for upstream in self._upstreams.order(loop.time()):
            if why:
                self._log(f"{why}; the next one is asked")
            try:
                return await self._pools[upstream].line(), upstream
            except TimeoutError:
                status, text = 504, f"no connection in {self._target.connect_timeout_s:g} s"
            except (aiohttp.ClientError, OSError) as error:
                status, text = 502, f"no connection: {reason(error)}"
            self._upstreams.failed(upstream, loop.time())
            why = f"upstream {upstream.url}: {text}"
        raise Failed(status, why)

    def report(self, upstream: Upstream, scope: Scope, why: str) -> None:
        """Log that a response broke off."""
        path = scope["raw_path"][:200].decode("latin-1")
        text = f"upstream {upstream.url}: the response broke off: {why}"
        self._log(f"{scope['method']} {path}: {text}")


def own_name() -> bytes:
    """Return what this server calls itself in Via: the same in all workers, another elsewhere."""
    seed = f"{socket.gethostname()} {os.getppid()}".encode()
    return b"portway-" + blake2s(seed, digest_size=4).hexdigest().encode()


async def _answer(send: Send, status: int) -> None:
    body = _REASONS[status]
    fields = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})
