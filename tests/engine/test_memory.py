"""Memory stays flat over half a million requests, over many connections and with refused ones among them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import Portway

REQUESTS = 500_000
GROWTH_MOST = 3 * 1024 * 1024
"""Bytes: an object of 8 bytes lost with each request would be more."""


def resident(pid: int) -> int:
    """Return the anonymous memory of a process, in bytes."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Anonymous:\s+(\d+) kB", rollup, re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def load(url: str, *arguments: str) -> int:
    """Run wrk for two seconds; return how many requests were answered."""
    command = ["wrk", "-t1", "-c40", "-d2", *arguments, url]
    out = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    found = re.search(r"(\d+) requests in", out)
    assert found, out
    return int(found[1])


@pytest.mark.needs("wrk")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("app", ["wsgi.py", "asgi.py"])
def test_half_a_million_requests_leave_no_trace(app: str) -> None:
    with Portway(app) as server:
        server.ready()
        url = f"http://{server.address[0]}:{server.address[1]}/"
        (worker,) = server.workers()
        load(url)
        load(url, "-H", "Connection: close")
        before = resident(worker)
        done = load(url, "-H", "Connection: close")
        while done < REQUESTS:
            done += load(url)
        assert resident(worker) - before < GROWTH_MOST
