"""Fast requests beside slow ones: 32 clients on an endpoint that answers at once while 3 sit on one
that sleeps 100 ms, four threads. How much of its speed alone does the fast one keep, what is its 99th
percentile, and do the slow ones still get the 30 answers a second that three sleepers can?
"""

import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from statistics import median
from typing import Any

from bench import wrk
from bench.process import BenchError, Running, fetch, free_port, running
from bench.result import Result, Row, Verdict
from bench.servers import Launch, Server
from bench.workload import LOAD_CORE, Options, loaded, loaded_once, pinned

NAME, TITLE = "slow-neighbours", "32 clients on a fast WSGI endpoint while 3 sit on one that sleeps 100 ms"
SERVERS = ("portway", "fastpysgi", "bjoern", "granian", "gunicorn", "waitress")
FULL_RATE = 30.0


def slow_command(port: int, seconds: float) -> list[str]:
    """Return the load of the three slow clients."""
    return wrk.command(f"http://127.0.0.1:{port}/slow", core=LOAD_CORE, connections=3, seconds=seconds)


def fast_command(port: int, seconds: float) -> list[str]:
    """Return the load of the fast clients."""
    return wrk.command(f"http://127.0.0.1:{port}/fast", core=LOAD_CORE, seconds=seconds)


def beside(server: Running, seconds: float) -> tuple[wrk.Sample, wrk.Sample]:
    """Measure the fast endpoint while the slow clients are at it; return fast and slow figures."""
    with subprocess.Popen(slow_command(server.port, seconds + 1), stdout=subprocess.PIPE, text=True) as slow:
        time.sleep(0.5)  # the slow clients are asleep in the application before the fast ones come
        fast = loaded_once(server, fast_command(server.port, seconds))
        report = slow.communicate(timeout=60)[0]
    return fast, wrk.parse(report)


def one_server(server: Server, options: Options, told: Callable[[str], None]) -> dict[str, Any]:
    """Measure one server, alone and beside the slow ones by turns."""
    alone, fast, slow = [], [], []
    with ExitStack() as stack:
        port = free_port()
        launch = Launch("bench.apps.slow_wsgi:app", "wsgi", port, blocking=True)
        command = pinned(server.command(launch))
        up = stack.enter_context(running(server.name, command, port))
        if fetch(port, "/slow") != (200, b"Hello, World!"):
            raise BenchError("wrong answer")
        wrk.run(fast_command(port, 1))
        for _ in range(options.rounds):
            alone.append(loaded(up, fast_command(port, options.seconds)))
            quick, sleeping = beside(up, options.seconds)
            fast.append(quick)
            slow.append(sleeping)
    share = median(after.rate / before.rate for before, after in zip(alone, fast, strict=True))
    figures = {
        "server": server.name,
        "alone": median(one.rate for one in alone),
        "beside": median(one.rate for one in fast),
        "share": share,
        "p99_alone_ms": median(one.p99_ms for one in alone),
        "p99_ms": median(one.p99_ms for one in fast),
        "slow": median(one.rate for one in slow),
        "commands": [
            shlex.join(command),
            shlex.join(fast_command(port, options.seconds)),
            shlex.join(slow_command(port, options.seconds + 1)),
        ],
        "samples": [[one.__dict__ for one in group] for group in (alone, fast, slow)],
    }
    told(
        f"{NAME:<12} {server.name:<16} alone {figures['alone']:>9,.0f}/s  beside {figures['beside']:>9,.0f}/s"
        f"  share {share:.2f}  p99 {figures['p99_ms']:.2f} ms  slow {figures['slow']:.1f}/s"
    )
    return figures


def measure(servers: Sequence[Server], options: Options, told: Callable[[str], None]) -> Result:
    """Measure all servers one after the other and return the table."""
    figures, rows = [], []
    for server in servers:
        try:
            found = one_server(server, options, told)
        except (BenchError, OSError) as error:
            told(f"{NAME:<12} {server.name:<16} failed: {error}")
            rows.append(Row((server.name, "failed", "", "", "", "", "")))
            continue
        figures.append(found)
        rows.append(
            Row(
                (
                    server.name,
                    f"{found['alone']:,.0f}",
                    f"{found['beside']:,.0f}",
                    f"{found['share']:.2f}",
                    f"{found['p99_alone_ms']:.2f}",
                    f"{found['p99_ms']:.2f}",
                    f"{found['slow']:.1f}",
                ),
                tuple(found["commands"]),
            )
        )
    return Result(
        NAME,
        TITLE,
        (
            "server",
            "fast alone/s",
            "fast beside/s",
            "share kept",
            "p99 alone, ms",
            "p99 beside, ms",
            "slow/s",
        ),
        rows,
        options=f"{options.rounds} rounds of {options.seconds:g} s",
        verdicts=_verdicts(figures),
        raw=figures,
    )


def _verdicts(figures: Sequence[dict[str, Any]]) -> list[Verdict]:
    ours = next((one for one in figures if one["server"] == "portway"), None)
    if ours is None:
        return []
    return [
        Verdict("share of its speed alone", round(ours["share"], 3), 0.85, 0.95),
        Verdict("p99 of the fast ones, ms", ours["p99_ms"], 3.0, 1.0, smaller=True),
        # wrk does not count the answers it is still waiting for at its end: up to 3 of about 90.
        Verdict("slow ones, share of 30/s", round(ours["slow"] / FULL_RATE, 3), 0.95, 0.97),
    ]
