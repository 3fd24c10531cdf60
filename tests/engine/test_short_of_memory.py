"""Each allocation of an answer from a file fails once: whatever that costs, no descriptor is left open."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portway.config import Settings
from portway.engine.asgi import ASGIEngine
from portway.engine.connection import alive
from portway.engine.folder import Folder, MediaTypes
from portway.engine.table import Table
from tests.engine.test_leaks import NOTHING, asgi_app, listening

ALLOCATIONS = 40
"""More than an answer takes."""
GET = b"GET /file HTTP/1.1\r\nHost: a\r\n%b\r\n"
HALF_A_HEAD = b"GET / HT"

ALLOCATOR: Any = importlib.import_module("_testcapi")
"""The interpreter's own means of testing, which has no types."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def while_one_fails(number: int, step: Callable[[], object]) -> None:
    """Do something while the allocation of that number fails, counted from 1, and no other one."""
    ALLOCATOR.set_nomemory(number, number + 1)
    try:
        step()
    finally:
        ALLOCATOR.remove_mem_hooks()


async def answer(folder: Path, request: bytes, failing: int) -> bytes:
    """Have an engine take a request while an allocation fails; return the beginning of its answer, if any."""
    engine: Any = ASGIEngine(asgi_app, Settings(), loop=asyncio.get_running_loop())
    engine.table = Table()
    engine.table.add_files(b"/*", Folder(os.fspath(folder), MediaTypes({})))
    with listening() as listener, socket.create_connection(listener.getsockname(), 10) as client:
        engine.add_listener(listener)
        engine.start()
        engine.on_events()
        client.sendall(request)
        while_one_fails(failing, engine.on_events)
        engine.stop()
        await engine.wait_closed()
        try:
            return client.recv(64)
        except ConnectionResetError:
            return b""


@pytest.mark.parametrize("fields", [b"", b"Range: bytes=0-99999,200000-299999\r\n"])
def test_no_descriptor_of_a_file_is_left(tmp_path: Path, fields: bytes) -> None:
    (tmp_path / "file").write_bytes(b"x" * 300_000)
    # what is behind the request has to be kept, between finding its file and sending it
    request = GET % fields + HALF_A_HEAD
    answers = []
    gc.collect()  # what earlier tests left may have descriptors, too
    gc.freeze()  # what they keep is no garbage: with all of it, looking for some takes a second of its own
    try:
        for number in range(1, ALLOCATIONS + 1):
            before = descriptors()
            answers.append(asyncio.run(answer(tmp_path, request, number)))
            gc.collect()
            assert alive() == NOTHING
            assert descriptors() == before, number
    finally:
        gc.unfreeze()
    assert answers[0] == b""
    assert answers[-1].startswith(b"HTTP/1.1 20")
