"""Memory over a million requests: what a worker that leaks nothing does not need more of.

The server is loaded until its memory has settled, then until it has answered a million more. Memory is PSS
of all its processes, so what several of them share is counted once.
"""

import shlex
from collections.abc import Callable, Sequence
from typing import Any

from bench import wrk
from bench.idle import pss_kb
from bench.process import BenchError, free_port, running
from bench.result import Result, Row, Verdict
from bench.servers import Launch, Server
from bench.workload import LOAD_CORE, Options, pinned

NAME, TITLE = "longrun", "Memory over a million requests"
FIRST, REQUESTS = 200_000, 1_000_000
STEP_S = 5
SERVERS = (
    ("portway", "wsgi"),
    ("portway", "asgi"),
    ("granian", "wsgi"),
    ("granian", "asgi"),
    ("uvicorn", "asgi"),
)
NAMES = tuple(dict.fromkeys(name for name, _ in SERVERS))


def answer(line: Sequence[str], count: int) -> int:
    """Load a server until it has answered so many requests; return how many it did."""
    done = 0
    while done < count:
        figures = wrk.run(line)
        wrk.check(figures)
        done += figures.requests
    return done


def one_server(server: Server, interface: str, told: Callable[[str], None]) -> dict[str, Any]:
    """Measure one server."""
    port = free_port()
    command = pinned(server.command(Launch(f"bench.apps.hello_{interface}:app", interface, port)))
    line = wrk.command(f"http://127.0.0.1:{port}/", core=LOAD_CORE, seconds=STEP_S)
    with running(server.name, command, port) as up:
        answer(line, FIRST)
        before = pss_kb(up)
        requests = answer(line, REQUESTS)
        after = pss_kb(up)
    found = {
        "server": f"{server.name} {interface}",
        "requests": requests,
        "before_kb": before,
        "after_kb": after,
        "bytes_each": (after - before) * 1024 / requests,
        "commands": [shlex.join(command), shlex.join(line)],
    }
    told(f"{NAME:<12} {found['server']:<16} {before:,} to {after:,} KiB over {requests:,} requests")
    return found


def measure(servers: Sequence[Server], options: Options, told: Callable[[str], None]) -> Result:
    """Measure all servers one after the other and return the table."""
    by_name, figures, rows = {server.name: server for server in servers}, [], []
    for name, interface in SERVERS:
        if name not in by_name:
            continue
        try:
            found = one_server(by_name[name], interface, told)
        except (BenchError, OSError) as error:
            told(f"{NAME:<12} {name:<16} failed: {error}")
            rows.append(Row((f"{name} {interface}", "failed", "", "", "")))
            continue
        figures.append(found)
        cells = (
            found["server"],
            f"{found['requests']:,}",
            f"{found['before_kb'] / 1024:.1f}",
            f"{found['after_kb'] / 1024:.1f}",
            f"{found['bytes_each']:.3f}",
        )
        rows.append(Row(cells, tuple(found["commands"])))
    return Result(
        NAME,
        TITLE,
        ("server", "requests", "MiB after warming up", "MiB at the end", "bytes a request"),
        rows,
        options=f"{FIRST:,} requests to warm up",
        verdicts=[
            Verdict(f"{one['server']}, bytes a request", round(one["bytes_each"], 3), 1.0, 0.25, smaller=True)
            for one in figures
            if one["server"].startswith("portway")
        ],
        raw=figures,
    )
