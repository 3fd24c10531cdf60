"""Memory of eight workers of a Django project, each importing it, and forked from a process that has.

PSS of all processes of the server (arbiter and preloader included) after every worker has answered the login
page of the admin for some seconds: what copy-on-write has to copy has been copied by then.
"""

import shlex
from collections.abc import Callable, Sequence
from typing import Any

from bench import wrk
from bench.process import BenchError, free_port, memory_kb, running
from bench.result import Result, Row, Verdict
from bench.servers import Launch, Server
from bench.workload import LOAD_CORE, Options, pinned

NAME = "preload"
WORKERS = 8
TITLE = f"Memory of {WORKERS} workers of a Django project with its admin, with and without --preload"
SERVERS = ("portway", "gunicorn")
APP, PATH = "bench.apps.project_django:app", "/admin/login/"
SECONDS = 5


def command_of(server: Server, port: int, preload: bool) -> list[str]:
    """Return the pinned command; both servers call the option the same."""
    line = server.command(Launch(APP, "wsgi", port, workers=WORKERS))
    return pinned([*line, "--preload"] if preload else line)


def memory(server: Server, preload: bool) -> tuple[int, int]:
    """Return PSS in KiB after some seconds of load: of the whole server, of the median process."""
    port = free_port()
    with running(server.name, command_of(server, port, preload), port) as up:
        line = wrk.command(
            f"http://127.0.0.1:{port}{PATH}", core=LOAD_CORE, seconds=SECONDS, connections=2 * WORKERS
        )
        _warm(line)
        wrk.check(wrk.run(line))
        sizes = sorted(memory_kb(pid) for pid in up.pids())
        return sum(sizes), sizes[len(sizes) // 2]


def _warm(line: list[str]) -> None:
    """Load until nothing fails any more: eight imports on one core take their time."""
    for _ in range(6):
        try:
            wrk.check(wrk.run(line))
        except BenchError:
            continue
        return


def measure(servers: Sequence[Server], options: Options, told: Callable[[str], None]) -> Result:
    """Measure each server without and with preloading, and return the table."""
    figures: list[dict[str, Any]] = []
    for server in servers:
        for preload in (False, True):
            name = f"{server.name}{' --preload' if preload else ''}"
            try:
                whole, one = memory(server, preload)
            except (BenchError, OSError) as error:
                told(f"{NAME:<12} {name:<20} failed: {error}")
                continue
            command = shlex.join(command_of(server, 8000, preload))
            figures.append({"server": name, "whole_kb": whole, "worker_kb": one, "command": command})
            told(f"{NAME:<12} {name:<20} whole {whole / 1024:>6.1f} MiB  worker {one / 1024:>6.1f} MiB")
    rows = [
        Row(
            (one["server"], f"{one['whole_kb'] / 1024:.1f}", f"{one['worker_kb'] / 1024:.1f}"),
            (one["command"],),
        )
        for one in figures
    ]
    return Result(
        NAME,
        TITLE,
        ("server", "whole server, MiB", "worker, MiB"),
        rows,
        options=f"{SECONDS} s of load on {PATH}",
        verdicts=_verdicts({one["server"]: one["whole_kb"] for one in figures}),
        raw=figures,
    )


def _verdicts(whole: dict[str, int]) -> list[Verdict]:
    ours, without = "portway --preload", "portway"
    if ours not in whole or without not in whole:
        return []
    reached = round(whole[ours] / whole[without], 3)
    return [Verdict(f"{ours}, whole server ÷ {without}", reached, 1.0, 0.5, smaller=True)]
