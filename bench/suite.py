"""The whole suite: every workload by name, how it is run, where its result goes."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from bench import (
    dev,
    footprint,
    idle,
    incidents,
    instructions,
    longrun,
    neighbours,
    observed,
    preload,
    sid,
    throughput,
    tls,
    workers,
)
from bench.catalogue import WORKLOADS
from bench.markdown import document
from bench.paths import BENCH, BUILD
from bench.process import BenchError
from bench.result import Result, load_all, machine, save
from bench.servers import SERVERS, Server, at_314, engine_script
from bench.workload import Options, Workload
from bench.workload import measure as measure_throughput

Told = Callable[[str], None]


@dataclass(frozen=True)
class Special:
    """A workload that is more than a rate: its own procedure and table."""

    name: str
    title: str
    servers: tuple[str, ...]
    measure: Callable[[Sequence[Server], Options, Told], Result]


SPECIALS = {
    special.name: special
    for special in (
        Special(neighbours.NAME, neighbours.TITLE, neighbours.SERVERS, neighbours.measure),
        Special(idle.NAME, idle.TITLE, tuple(dict.fromkeys(name for name, _ in idle.SERVERS)), idle.measure),
        Special(
            footprint.NAME,
            footprint.TITLE,
            tuple(dict.fromkeys(name for name, _ in footprint.SERVERS)),
            footprint.measure,
        ),
        Special(tls.NAME, tls.TITLE, tls.SERVERS, tls.measure),
        Special(preload.NAME, preload.TITLE, preload.SERVERS, preload.measure),
        Special(
            workers.SPREAD,
            workers.SPREAD_TITLE,
            tuple(dict.fromkeys(n for n, _ in workers.SPREAD_SERVERS)),
            workers.measure_spread,
        ),
        Special(
            "threads",
            "Flask on 4 threads against 1",
            ("portway", "granian", "gunicorn"),
            workers.measure_threads,
        ),
        Special(
            "scaling",
            "Flask with 2 workers on two cores against 1 on one",
            ("portway", "fastpysgi", "granian", "gunicorn"),
            workers.measure_scaling,
        ),
        Special(dev.NAME, dev.TITLE, dev.SERVERS, dev.measure),
        Special(instructions.NAME, instructions.TITLE, instructions.SERVERS, instructions.measure),
        *(
            Special(one.name, one.title, incidents.NAMES, partial(incidents.measure, one))
            for one in incidents.INCIDENTS.values()
        ),
        Special(observed.NAME, observed.TITLE, observed.SERVERS, observed.measure),
        Special(longrun.NAME, longrun.TITLE, longrun.NAMES, longrun.measure),
    )
}
NAMES = [*WORKLOADS, *SPECIALS]


def named(name: str) -> Workload | Special:
    """Return a workload of either sort."""
    return SPECIALS[name] if name in SPECIALS else WORKLOADS[name]


def chosen(workload: Workload | Special, names: str, scripts: Sequence[str] = ()) -> list[Server]:
    """Return the servers to measure: the workload's own, or those named, plus engine scripts.

    Raises:
        BenchError: a name that is no server.
    """
    wanted = names.split(",") if names else [*workload.servers]
    unknown = [name for name in wanted if name not in SERVERS]
    if unknown:
        raise BenchError(f"no server {unknown[0]!r}; known: {', '.join(SERVERS)}")
    found = [SERVERS[name] for name in wanted] + [engine_script(path) for path in scripts]
    if isinstance(workload, Workload) and workload.python314:
        return [one if one.name == "nginx" else at_314(one) for one in found]
    return found


def run(names: Sequence[str], servers: str, options: Options, told: Told) -> int:
    """Run the named workloads, keep each result, write RESULTS.md; return how many could not be run."""
    failures = 0
    shutil.rmtree(BUILD, ignore_errors=True)  # logs and configurations of the last run
    for name in names or NAMES:
        try:
            save(_run_one(name, servers, options, told))
        except BenchError as error:
            told(f"{name}: {error}")
            failures += 1
    report(told)
    return failures


def _run_one(name: str, servers: str, options: Options, told: Told) -> Result:
    if name in SPECIALS:
        special = SPECIALS[name]
        return special.measure(_known(chosen(special, servers), special.servers), options, told)
    workload = WORKLOADS[name]
    if workload.python314:
        _prepare_314(told)
    wanted = _known(chosen(workload, servers), workload.servers)
    return throughput.result(workload, measure_throughput(workload, wanted, options, told), options)


def _known(servers: Sequence[Server], own: Sequence[str]) -> list[Server]:
    """Leave out servers that do not belong to the workload (a WSGI server in an ASGI workload)."""
    return [server for server in servers if throughput.base(server.name) in own]


def _prepare_314(told: Told) -> None:
    """Bring the Debian folder up to date; without Portway in it the peers are still measured."""
    try:
        sid.make()
    except BenchError as error:
        if not sid.ready():
            raise
        told(f"python 3.14: {error}")


def report(told: Told) -> None:
    """Write RESULTS.md from all results that are kept."""
    path = BENCH / "RESULTS.md"
    path.write_text(document(load_all(NAMES), machine()))
    told(f"wrote {path}")
