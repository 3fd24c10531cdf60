"""Requests that fail when workers are reloaded, killed or recycled, under a steady load.

Every request is counted. One fails when its connection is refused or reset, when the connection ends where
an answer was due, when the answer is cut, and when its status is not 200; nothing is tried again. Some of the
clients keep their connection and open a new one only after an answer that announced the close; the others
open one for each request.
"""

import os
import shlex
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.process import BenchError, Running, free_port, running
from bench.result import Result, Row, Verdict
from bench.servers import Launch, Server
from bench.workload import Options, pinned
from tests.support.load import Load

WORKERS, KEPT, FRESH = 2, 6, 2
CLIENTS = KEPT + FRESH
PAUSE_S = 0.005
AFTERWARDS = 300  # answers after the last thing that happened, so that its consequences are counted too
PATIENCE_S = 60.0
RECYCLE_AFTER = 400  # requests
SERVERS = (
    ("portway", "wsgi"),
    ("portway", "asgi"),
    ("granian", "wsgi"),
    ("granian", "asgi"),
    ("gunicorn", "wsgi"),
    ("gunicorn", "asgi"),
    ("uvicorn", "asgi"),
)
NAMES = tuple(dict.fromkeys(name for name, _ in SERVERS))
NO_RECYCLING = frozenset({"granian"})  # by age only, of a minute or more
MORE_ARGUMENTS = {"granian": ["--respawn-failed-workers"]}  # or it stops when a worker dies
RECYCLING = {
    "portway": ["--max-requests", str(RECYCLE_AFTER), "--max-requests-jitter", "100"],
    "gunicorn": ["--max-requests", str(RECYCLE_AFTER), "--max-requests-jitter", "100"],
    "uvicorn": ["--limit-max-requests", str(RECYCLE_AFTER), "--limit-max-requests-jitter", "100"],
}


@dataclass(frozen=True)
class Incident:
    """One thing that happens to a server.

    Args:
        name: on the command line and in the tables.
        title: one line for the tables.
        provoke: does it once and waits until the server is over it.
        floor: most failures of Portway for each time it happens.
        aim: what is hoped for.
        recycling: the server is started so that it recycles its workers.
    """

    name: str
    title: str
    provoke: Callable[[Running, Load], None]
    floor: float = 0.0
    aim: float = 0.0
    recycling: bool = False

    def servers(self, server: str) -> list[str]:
        """Return the interfaces that a server is measured with."""
        if self.recycling and server in NO_RECYCLING:
            return []
        return [interface for name, interface in SERVERS if name == server]


def reload(server: Running, load: Load) -> None:
    """Send SIGHUP, and wait until as many new workers answer."""
    before = set(load.bodies)
    os.kill(server.process.pid, signal.SIGHUP)
    load.wait_until(lambda: len(set(load.bodies) - before) >= WORKERS, "new workers", PATIENCE_S)
    load.wait_for(AFTERWARDS, PATIENCE_S)


def kill_one(server: Running, load: Load) -> None:
    """Kill a worker that answers, and wait until another one answers in its place."""
    seen = dict(load.bodies)
    load.wait_for(AFTERWARDS, PATIENCE_S)
    before = set(load.bodies)
    victim = max(before, key=lambda pid: load.bodies[pid] - seen.get(pid, 0))
    os.kill(int(victim), signal.SIGKILL)
    load.wait_until(lambda: set(load.bodies) - before, "a new worker", PATIENCE_S)
    load.wait_for(AFTERWARDS, PATIENCE_S)


def recycle_one(server: Running, load: Load) -> None:
    """Wait until a worker has been recycled."""
    before = set(load.bodies)
    load.wait_until(lambda: set(load.bodies) - before, "a recycled worker", PATIENCE_S)


INCIDENTS = {
    incident.name: incident
    for incident in (
        Incident("reload", "Requests that fail in a reload (SIGHUP)", reload),
        # what the killed worker had is lost: at most a request of each client, on average half of them
        Incident(
            "kill",
            "Requests that fail when one of two workers is killed (SIGKILL)",
            kill_one,
            floor=CLIENTS,
            aim=CLIENTS / 2,
        ),
        Incident("recycle", "Requests that fail when workers are recycled", recycle_one, recycling=True),
    )
}


def one_server(
    incident: Incident, server: Server, interface: str, options: Options, told: Callable[[str], None]
) -> dict[str, Any]:
    """Let it happen to one server, so often as `options` has rounds, and count."""
    port, times = free_port(), max(1, options.rounds)
    command = server.command(Launch(f"bench.apps.pid_{interface}:app", interface, port, workers=WORKERS))
    command += MORE_ARGUMENTS.get(server.name, [])
    command += RECYCLING[server.name] if incident.recycling else []
    command = pinned(command)
    with running(server.name, command, port) as up:
        with Load(("127.0.0.1", port), keep_alive=KEPT, fresh=FRESH, pause_s=PAUSE_S) as load:
            load.wait_until(lambda: len(load.bodies) >= WORKERS, "both workers", PATIENCE_S)
            for _ in range(times):
                incident.provoke(up, load)
            load.wait_for(AFTERWARDS, PATIENCE_S)
    if incident.recycling:
        times = len(load.bodies) - WORKERS
    kinds = Counter(failure.partition(":")[0] for failure in load.failures)
    found = {
        "server": f"{server.name} {interface}",
        "times": times,
        "requests": load.answered + len(load.failures),
        "failed": len(load.failures),
        "kinds": dict(kinds),
        "first": load.failures[:20],
        "command": shlex.join(command),
    }
    told(
        f"{incident.name:<12} {found['server']:<16} {found['failed']:>5} of {found['requests']:,} requests"
        f" failed in {times}: {dict(kinds)}"
    )
    return found


def measure(
    incident: Incident, servers: Sequence[Server], options: Options, told: Callable[[str], None]
) -> Result:
    """Let it happen to all servers, one after the other, and return the table."""
    figures: list[dict[str, Any]] = []
    rows: list[Row] = []
    for server in servers:
        for interface in incident.servers(server.name):
            label = f"{server.name} {interface}"
            try:
                found = one_server(incident, server, interface, options, told)
            except (BenchError, OSError, AssertionError) as error:
                told(f"{incident.name:<12} {label:<16} failed: {error}")
                rows.append(Row((label, "failed", "", "", "", "")))
                continue
            figures.append(found)
            rows.append(_row(found))
    return Result(
        incident.name,
        incident.title,
        ("server", "times", "requests", "failed", "failed each time", "how"),
        rows,
        options=f"{options.rounds} times or more; {KEPT} clients keep their connection, {FRESH} do not",
        verdicts=[_verdict(incident, one) for one in figures if one["server"].startswith("portway")],
        raw=figures,
    )


def _verdict(incident: Incident, found: dict[str, Any]) -> Verdict:
    what = f"{found['server']}, failed each time"
    return Verdict(what, _each(found), incident.floor, incident.aim, smaller=True)


def _each(found: dict[str, Any]) -> float:
    return round(found["failed"] / max(1, found["times"]), 2)


def _row(found: dict[str, Any]) -> Row:
    kinds = ", ".join(f"{count} {kind}" for kind, count in found["kinds"].items())
    cells = (found["server"], found["times"], f"{found['requests']:,}", found["failed"], _each(found), kinds)
    return Row(tuple(map(str, cells)), (found["command"],))
