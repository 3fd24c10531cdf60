"""Start to first answer, and memory: what one pays before the first request.

Starts are taken in turns. A start ends when a whole answer has arrived; the prober tries every
millisecond from the load's core. Memory is PSS after a second of load: of all processes of the server,
and of the process that did the work.
"""

import os
import shlex
import socket
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from bench import wrk
from bench.process import BenchError, cpu_s, free_port, memory_kb, running, start
from bench.result import Result, Row, Verdict
from bench.servers import Launch, Server
from bench.workload import LOAD_CORE, Options, pinned

NAME, TITLE = "footprint", "Start to first answer; memory of the whole server and of one worker"
SERVERS = (
    ("nginx", "wsgi"),
    ("portway", "wsgi"),
    ("portway", "asgi"),
    ("fastpysgi", "wsgi"),
    ("fastpysgi", "asgi"),
    ("bjoern", "wsgi"),
    ("granian", "wsgi"),
    ("granian", "asgi"),
    ("gunicorn", "wsgi"),
    ("gunicorn", "asgi"),
    ("waitress", "wsgi"),
    ("uvicorn", "asgi"),
    ("hypercorn", "asgi"),
)
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


def command_of(server: Server, interface: str, port: int) -> list[str]:
    """Return the pinned command that serves the small application."""
    app = "hello" if server.name == "nginx" else f"bench.apps.hello_{interface}:app"
    return pinned(server.command(Launch(app, interface, port)))


def first_answer_ms(server: Server, interface: str, patience_s: float = 20.0) -> float:
    """Start the server once and return the milliseconds until its first answer was complete."""
    port = free_port()
    command = command_of(server, interface, port)
    began = time.perf_counter()
    up = start(server.name, command, port)
    try:
        while time.perf_counter() - began < patience_s:
            if _answered(port):
                return (time.perf_counter() - began) * 1000
            time.sleep(0.001)
        raise BenchError(f"{server.name} did not answer in {patience_s} s:\n{up.tail()}")
    finally:
        up.stop()


def _answered(port: int) -> bool:
    with socket.socket() as sock:
        sock.settimeout(5)
        if sock.connect_ex(("127.0.0.1", port)):
            return False
        sock.sendall(REQUEST)
        answer = b""
        while b"Hello, World!" not in answer:
            more = sock.recv(4096)
            if not more:
                return False
            answer += more
    return True


def memory(server: Server, interface: str) -> tuple[int, int]:
    """Return PSS in KiB after a second of load: of the whole server, of its busiest process."""
    port = free_port()
    with running(server.name, command_of(server, interface, port), port) as up:
        wrk.check(wrk.run(wrk.command(f"http://127.0.0.1:{port}/", core=LOAD_CORE, seconds=1)))
        pids = up.pids()
        worker = max(pids, key=cpu_s)
        return sum(memory_kb(pid) for pid in pids), memory_kb(worker)


def measure(servers: Sequence[Server], options: Options, told: Callable[[str], None]) -> Result:
    """Measure starts in turns, then memory, and return the table."""
    by_name = {server.name: server for server in servers}
    subjects = [(by_name[name], interface) for name, interface in SERVERS if name in by_name]
    os.sched_setaffinity(0, {LOAD_CORE})
    try:
        figures = _figures(subjects, options.rounds * 2, told)
    finally:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    rows = [
        Row(
            (
                one["server"],
                f"{one['start_ms']:.0f}",
                f"{min(one['starts']):.0f}",
                f"{one['whole_kb'] / 1024:.1f}",
                f"{one['worker_kb'] / 1024:.1f}",
            ),
            (one["command"],),
        )
        for one in figures
    ]
    return Result(
        NAME,
        TITLE,
        ("server", "start, median ms", "start, least ms", "whole server, MiB", "worker, MiB"),
        rows,
        options=f"{options.rounds * 2} starts of each",
        verdicts=_verdicts(figures),
        raw=figures,
    )


def _figures(
    subjects: Sequence[tuple[Server, str]], starts: int, told: Callable[[str], None]
) -> list[dict[str, Any]]:
    times: dict[str, list[float]] = {}
    failed: set[str] = set()
    for number in range(starts + 1):
        for server, interface in subjects:
            name = _label(server, interface)
            if name in failed:
                continue
            try:
                took = first_answer_ms(server, interface)
            except (BenchError, OSError) as error:
                failed.add(name)
                told(f"{NAME:<12} {name:<16} failed: {error}")
                continue
            if number:  # the first start compiles bytecode and fills the page cache
                times.setdefault(name, []).append(took)
    figures = []
    for server, interface in subjects:
        name = _label(server, interface)
        if name in failed:
            continue
        whole, worker = memory(server, interface)
        command = shlex.join(command_of(server, interface, 8000))
        figures.append(
            {
                "server": name,
                "start_ms": median(times[name]),
                "starts": times[name],
                "whole_kb": whole,
                "worker_kb": worker,
                "command": command,
            }
        )
        told(
            f"{NAME:<12} {name:<16} start {median(times[name]):>6.0f} ms  whole {whole / 1024:>6.1f} MiB"
            f"  worker {worker / 1024:>6.1f} MiB"
        )
    return figures


def _label(server: Server, interface: str) -> str:
    return server.name if server.name == "nginx" else f"{server.name} {interface}"


def _verdicts(figures: Sequence[dict[str, Any]]) -> list[Verdict]:
    by_name = {one["server"]: one for one in figures}
    pairs = (
        ("portway asgi", "uvicorn asgi"),
        ("portway asgi", "granian asgi"),
        ("portway wsgi", "granian wsgi"),
    )
    found = []
    for ours, theirs in pairs:
        if ours not in by_name or theirs not in by_name:
            continue
        for what, key in (("start", "start_ms"), ("whole server", "whole_kb"), ("worker", "worker_kb")):
            reached = round(by_name[ours][key] / by_name[theirs][key], 3)
            found.append(Verdict(f"{ours}, {what} ÷ {theirs}", reached, 1.0, 0.5, smaller=True))
    return found
