"""Several workers and several threads: how connections spread, whether two cores give twice the speed,
and that threads never cost anything.
"""

import re
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from bench import wrk
from bench.paths import LOAD
from bench.process import BenchError, free_port, running
from bench.result import Result, Row, Verdict
from bench.rounds import Series, in_turns, ratio
from bench.servers import Launch, Server
from bench.workload import LOAD_CORE, Options, loaded, pinned

_WORKER = re.compile(r"^worker (\d+) (\d+)$", re.M)


def counts(report: str) -> dict[int, int]:
    """Return answers by worker pid from the report of load/pids.lua."""
    found: dict[int, int] = {}
    for pid, count in _WORKER.findall(report):
        found[int(pid)] = found.get(int(pid), 0) + int(count)
    return found


SPREAD, SPREAD_TITLE = "spread", "64 keep-alive connections on 4 workers: busiest ÷ least busy"
SPREAD_SERVERS = (
    ("portway", "wsgi"),
    ("portway", "asgi"),
    ("fastpysgi", "wsgi"),
    ("granian", "wsgi"),
    ("gunicorn", "wsgi"),
    ("uvicorn", "asgi"),
    ("gunicorn", "asgi"),
    ("hypercorn", "asgi"),
)


def spread_once(server: Server, interface: str, seconds: float) -> tuple[list[int], list[str]]:
    """Start four workers, load them over 64 connections; return answers by worker and the commands."""
    port = free_port()
    command = pinned(server.command(Launch(f"bench.apps.pid_{interface}:app", interface, port, workers=4)))
    load = wrk.command(
        f"http://127.0.0.1:{port}/",
        core=LOAD_CORE,
        connections=64,
        seconds=seconds,
        script=str(LOAD / "pids.lua"),
    )
    with running(server.name, command, port):
        time.sleep(2)  # the port is open as soon as one worker is up; all four share a core at start
        wrk.run(
            wrk.command(f"http://127.0.0.1:{port}/", core=LOAD_CORE, connections=64, seconds=1)
        )  # all are up
        result = subprocess.run(load, capture_output=True, text=True, check=False, timeout=120)
    wrk.check(wrk.parse(result.stdout))
    found = sorted(counts(result.stdout).values(), reverse=True)
    return found + [0] * (4 - len(found)), [shlex.join(command), shlex.join(load)]


def measure_spread(servers: Sequence[Server], options: Options, told: Callable[[str], None]) -> Result:
    """Measure the spread of every server and return the table; the worst round counts."""
    by_name, rows, raw, verdicts = {server.name: server for server in servers}, [], [], []
    for name, interface in SPREAD_SERVERS:
        if name not in by_name:
            continue
        label = f"{name} {interface}"
        try:
            rounds = [
                spread_once(by_name[name], interface, options.seconds) for _ in range(min(options.rounds, 2))
            ]
        except (BenchError, OSError) as error:
            told(f"{SPREAD:<12} {label:<16} failed: {error}")
            rows.append(Row((label, "failed", "")))
            continue
        shares, commands = max(rounds, key=lambda one: _unevenness(one[0]))
        worst = _unevenness(shares)
        told(f"{SPREAD:<12} {label:<16} {worst:.2f}  {shares}")
        rows.append(Row((label, f"{worst:.2f}", " ".join(f"{share:,}" for share in shares)), tuple(commands)))
        raw.append({"server": label, "rounds": [one[0] for one in rounds]})
        if name == "portway":
            verdicts.append(
                Verdict(f"{label}, busiest ÷ least busy", round(worst, 3), 1.3, 1.1, smaller=True)
            )
    return Result(
        SPREAD,
        SPREAD_TITLE,
        ("server", "busiest ÷ least", "answers by worker, worst round"),
        rows,
        options=f"{min(options.rounds, 2)} rounds of {options.seconds:g} s",
        verdicts=verdicts,
        raw=raw,
    )


def _unevenness(shares: Sequence[int]) -> float:
    return shares[0] / shares[-1] if shares[-1] else float("inf")


@dataclass(frozen=True)
class Variant:
    """One way of starting a server, compared with another way of starting the same one."""

    label: str
    workers: int = 1
    threads: int = 4
    cores: str = "0"


def compare(
    name: str,
    title: str,
    app: str,
    pair: tuple[Variant, Variant],
    servers: Sequence[Server],
    options: Options,
    told: Callable[[str], None],
) -> Result:
    """Measure two variants of each server by turns and return the table of second ÷ first."""
    rows: list[Row] = []
    raw: list[dict[str, Any]] = []
    for server in servers:
        try:
            found = _pair(app, pair, server, options)
        except (BenchError, OSError) as error:
            told(f"{name:<12} {server.name:<16} failed: {error}")
            rows.append(Row((server.name, "failed", "", "", "", "")))
            continue
        one, two = found
        gain = ratio(two, one)
        told(f"{name:<12} {server.name:<16} {one.rate:>9,.0f}/s {two.rate:>9,.0f}/s  ratio {gain:.2f}")
        rows.append(
            Row(
                (
                    server.name,
                    f"{one.rate:,.0f}",
                    f"{two.rate:,.0f}",
                    f"{gain:.2f}",
                    f"{one.middle('server_us'):.1f}",
                    f"{two.middle('server_us'):.1f}",
                ),
                (one.command, two.command, two.load),
            )
        )
        raw.append(
            {
                "server": server.name,
                "ratio": gain,
                "samples": [[sample.__dict__ for sample in series.samples] for series in found],
            }
        )
    return Result(
        name,
        title,
        (
            "server",
            *(f"{variant.label}, answers/s" for variant in pair),
            "ratio",
            *(f"{variant.label}, µs" for variant in pair),
        ),
        rows,
        options=f"{options.rounds} rounds of {options.seconds:g} s",
        raw=raw,
    )


def _pair(app: str, pair: tuple[Variant, Variant], server: Server, options: Options) -> tuple[Series, Series]:
    with ExitStack() as stack:
        series, calls = {}, {}
        for variant in pair:
            port = free_port()
            launch = Launch(
                app, "wsgi", port, workers=variant.workers, threads=variant.threads, blocking=True
            )
            command = pinned(server.command(launch), variant.cores)
            up = stack.enter_context(running(server.name, command, port))
            load = wrk.command(f"http://127.0.0.1:{port}/", core=LOAD_CORE, seconds=options.seconds)
            wrk.run(wrk.command(f"http://127.0.0.1:{port}/", core=LOAD_CORE, seconds=1))
            series[variant.label] = Series(variant.label, shlex.join(command), shlex.join(load))
            calls[variant.label] = lambda up=up, load=load: loaded(up, load)
        for label, samples in in_turns(calls, options.rounds, keep=frozenset(calls)).items():
            series[label].samples = samples
    return series[pair[0].label], series[pair[1].label]


def measure_threads(servers: Sequence[Server], options: Options, told: Callable[[str], None]) -> Result:
    """Flask on one thread and on four: a processor-bound application must not pay for threads."""
    result = compare(
        "threads",
        "Flask on 4 threads against 1",
        "bench.apps.page_flask:app",
        (Variant("1 thread", threads=1), Variant("4 threads")),
        servers,
        options,
        told,
    )
    ours = next((one["ratio"] for one in result.raw if one["server"] == "portway"), None)
    if ours is not None:
        result.verdicts.append(Verdict("4 threads ÷ 1 thread", round(ours, 3), 0.98, 1.0))
    return result


def measure_scaling(servers: Sequence[Server], options: Options, told: Callable[[str], None]) -> Result:
    """Flask with one worker on one core and two on two; the load takes its part of the second core."""
    return compare(
        "scaling",
        "Flask with 2 workers on two cores against 1 on one",
        "bench.apps.page_flask:app",
        (Variant("1 worker"), Variant("2 workers", workers=2, cores="0,1")),
        servers,
        options,
        told,
    )
