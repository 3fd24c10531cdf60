"""What looking costs: the rate with an access log, and with everything that can be observed, against none.

Two instances of Portway run side by side and are loaded by turns; the median of the ratios of neighbouring
samples is what counts. The log goes to a file, as it does in production.
"""

import shlex
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from bench import wrk
from bench.paths import BUILD
from bench.process import BenchError, free_port, running
from bench.result import Result, Row, Verdict
from bench.rounds import Series, in_turns, ratio, saving
from bench.servers import Launch, Server
from bench.workload import LOAD_CORE, Options, loaded, pinned

NAME, TITLE = "observed", "With a JSON access log against without one"
SERVERS = ("portway",)
LOG = BUILD / "access.log"
OBSERVED = ("--access-log", str(LOG), "--access-log-format", "json")
INTERFACES = ("wsgi", "asgi")


def one_interface(server: Server, interface: str, options: Options) -> dict[str, Series]:
    """Measure one interface both ways; return the series by "off" and "on"."""
    with ExitStack() as stack:
        series, calls = {}, {}
        for kind, more in (("off", ()), ("on", OBSERVED)):
            port = free_port()
            launch = Launch(f"bench.apps.hello_{interface}:app", interface, port)
            command = pinned([*server.command(launch), *more])
            up = stack.enter_context(running(f"{server.name}-{kind}", command, port))
            load = wrk.command(f"http://127.0.0.1:{port}/", core=LOAD_CORE, seconds=options.seconds)
            wrk.run(wrk.command(f"http://127.0.0.1:{port}/", core=LOAD_CORE, seconds=1))
            series[kind] = Series(kind, shlex.join(command), shlex.join(load))
            calls[kind] = lambda up=up, load=load: loaded(up, load)
        try:
            for kind, samples in in_turns(calls, options.rounds, keep=frozenset(calls)).items():
                series[kind].samples = samples
        finally:
            LOG.unlink(missing_ok=True)
    return series


def measure(servers: Sequence[Server], options: Options, told: Callable[[str], None]) -> Result:
    """Measure both interfaces and return the table."""
    rows: list[Row] = []
    verdicts: list[Verdict] = []
    raw = []
    for server in servers:
        for interface in INTERFACES:
            label = f"{server.name} {interface}"
            try:
                series = one_interface(server, interface, options)
            except (BenchError, OSError) as error:
                told(f"{NAME:<12} {label:<16} failed: {error}")
                rows.append(Row((label, "failed", "", "", "")))
                continue
            on, off = series["on"], series["off"]
            kept = ratio(on, off)
            told(f"{NAME:<12} {label:<16} {off.rate:>9,.0f}/s off {on.rate:>9,.0f}/s on  ratio {kept:.2f}")
            cells = (
                label,
                f"{off.rate:,.0f}",
                f"{on.rate:,.0f}",
                f"{kept:.2f}",
                f"{saving(on, off):.2f}",
            )
            rows.append(Row(cells, (off.command, on.command, on.load)))
            verdicts.append(Verdict(f"{label}, on ÷ off", round(kept, 3), 0.9, 0.95))
            raw.append({kind: [sample.__dict__ for sample in one.samples] for kind, one in series.items()})
    return Result(
        NAME,
        TITLE,
        ("server", "answers/s off", "answers/s on", "on ÷ off", "by processor time"),
        rows,
        options=f"{options.rounds} rounds of {options.seconds:g} s",
        verdicts=verdicts,
        raw=raw,
    )
