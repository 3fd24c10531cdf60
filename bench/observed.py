"""What looking costs: the rate with metrics and an access log against neither.

Two instances of Portway run side by side and are loaded by turns; the median of the ratios of neighbouring
samples is what counts. The log goes to a file, as it does in production, and Prometheus' part is played by a
thread that asks for /metrics every second, more often than is usual.
"""

import http.client
import shlex
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from bench import wrk
from bench.paths import BUILD
from bench.process import BenchError, Running, free_port, running
from bench.result import Result, Row, Verdict
from bench.rounds import Series, in_turns, ratio, saving
from bench.servers import Launch, Server
from bench.workload import LOAD_CORE, Options, loaded, pinned

NAME, TITLE = "observed", "With metrics and a JSON access log against neither"
SERVERS = ("portway",)
LOG = BUILD / "access.log"
OBSERVED = ("--access-log", str(LOG), "--access-log-format", "json")
INTERFACES = ("wsgi", "asgi")
SCRAPE_S = 1.0


@contextmanager
def scraped(port: int) -> Iterator[None]:
    """Ask for the metrics every second meanwhile.

    Raises:
        BenchError: They were not answered.
    """
    over = threading.Event()
    failures: list[str] = []

    def scrape() -> None:
        while not over.wait(SCRAPE_S):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            try:
                connection.request("GET", "/metrics")
                answer = connection.getresponse()
                if answer.status != 200 or b"portway_requests" not in answer.read():
                    failures.append(f"metrics: status {answer.status}")
            except (OSError, http.client.HTTPException) as error:
                failures.append(f"metrics: {error}")
            finally:
                connection.close()

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if failures:
        raise BenchError(failures[0])


def loaded_and_scraped(up: Running, load: Sequence[str], port: int) -> wrk.Sample:
    """Load a server once while its metrics are asked for."""
    with scraped(port):
        return loaded(up, load)


def one_interface(server: Server, interface: str, options: Options) -> dict[str, Series]:
    """Measure one interface both ways; return the series by "off" and "on"."""
    with ExitStack() as stack:
        series: dict[str, Series] = {}
        calls: dict[str, Callable[[], wrk.Sample]] = {}
        for kind in ("off", "on"):
            port, admin = free_port(), free_port()
            more = (*OBSERVED, "--admin", f"127.0.0.1:{admin}") if kind == "on" else ()
            launch = Launch(f"bench.apps.hello_{interface}:app", interface, port)
            command = pinned([*server.command(launch), *more])
            up = stack.enter_context(running(f"{server.name}-{kind}", command, port))
            load = wrk.command(f"http://127.0.0.1:{port}/", core=LOAD_CORE, seconds=options.seconds)
            wrk.run(wrk.command(f"http://127.0.0.1:{port}/", core=LOAD_CORE, seconds=1))
            series[kind] = Series(kind, shlex.join(command), shlex.join(load))
            calls[kind] = lambda up=up, load=load: loaded(up, load)
            if kind == "on":
                calls[kind] = lambda up=up, load=load, admin=admin: loaded_and_scraped(up, load, admin)
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
