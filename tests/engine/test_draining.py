"""A drain and half a request: it keeps its deadline, and the drain waits for it no longer than that."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from portway.config import Settings
from portway.config.settings import Timeouts
from portway.engine.asgi import ASGIEngine
from portway.engine.wsgi import WSGIEngine
from tests.engine.test_leaks import asgi_app, wsgi_app

EVER_S = 600.0
HALF_A_HEAD = b"GET / HTTP/1.1\r\nHo"


def half_a_head(engine: Any, address: Any, drain_s: float) -> bytes:
    """Send half a head, have the engine drain without patience for what idles; return its answer."""
    with socket.create_connection(address, 10) as client:
        client.sendall(HALF_A_HEAD)
        engine.drain(drain_s, 0)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
        return answer


def wsgi(settings: Settings, drain_s: float) -> bytes:
    """Do it to a WSGI engine, and see it end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        engine = WSGIEngine(wsgi_app, settings)
        engine.add_listener(listener)
        thread = threading.Thread(target=engine.run)
        thread.start()
        answer = half_a_head(engine, listener.getsockname(), drain_s)
        thread.join(10)
        assert not thread.is_alive()
        return answer


def asgi(settings: Settings, drain_s: float) -> bytes:
    """Do it to an ASGI engine, and see it end."""

    async def serve() -> bytes:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            engine = ASGIEngine(asgi_app, settings, loop=asyncio.get_running_loop())
            engine.add_listener(listener)
            engine.start()
            answer = await asyncio.to_thread(half_a_head, engine, listener.getsockname(), drain_s)
            await asyncio.wait_for(engine.wait_closed(), 10)
            return answer

    return asyncio.run(serve())


@pytest.mark.parametrize("kind", [wsgi, asgi])
def test_half_a_head_keeps_its_deadline(kind: Callable[[Settings, float], bytes]) -> None:
    answer = kind(Settings(timeouts=Timeouts(header=1.5)), EVER_S)
    assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("kind", [wsgi, asgi])
@pytest.mark.parametrize("header_s", [0, EVER_S])
def test_half_a_head_does_not_hold_up_the_end(
    kind: Callable[[Settings, float], bytes], header_s: float
) -> None:
    assert kind(Settings(timeouts=Timeouts(header=header_s)), 0.5) == b""
