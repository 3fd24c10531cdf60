"""One throughput workload: an application, a request, the answer that counts as right."""

import http.client
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from bench import proxy, static, wrk
from bench.paths import LOAD
from bench.process import BenchError, Running, fetch, free_port, running
from bench.rounds import Series, in_turns
from bench.servers import Launch, Server

SERVER_CORE, LOAD_CORE = 0, 1
CLOSING = "bench.apps.closing_wsgi:app"


@dataclass(frozen=True)
class Target:
    """A line of the acceptance table: Portway's rate against `other`'s ("best" of the peers)."""

    other: str
    floor: float
    aim: float


@dataclass(frozen=True)
class Workload:
    """What is asked, of whom, and what must come back.

    Args:
        name: on the command line and in the tables.
        title: one line for the tables.
        app: `module:attribute`.
        interface: "wsgi", "asgi", "static" or "proxy".
        servers: names, Portway's included.
        path, method, body: the request; a wrk script makes it when it is not a plain GET.
        script: file in bench/load for wrk; or a program that loads instead of it.
        headers: extra field lines for wrk.
        length: exact length of a right body, or None.
        contains: bytes that a right body has.
        nginx: block of bench/servers.py NGINX that nginx serves.
        targets: what the project wants to reach.
        threads: WSGI threads.
        blocking: see Launch.
        python314: the Python servers run on Python 3.14.
        closes: the framework does work when its response is closed; a server that never does that is named.
    """

    name: str
    title: str
    app: str
    interface: str
    servers: tuple[str, ...]
    path: str = "/"
    method: str = "GET"
    body: bytes | None = None
    script: str | None = None
    headers: tuple[str, ...] = ()
    length: int | None = None
    contains: bytes = b""
    nginx: str = "hello"
    targets: tuple[Target, ...] = ()
    connections: int = 32
    threads: int = 4
    blocking: bool = False
    python314: bool = False
    closes: bool = False

    def launch(self, server: Server) -> Launch:
        """Return what `server` is asked to run for it."""
        app = self.nginx if server.name == "nginx" else self.app
        return Launch(
            app,
            self.interface,
            threads=self.threads,
            blocking=self.blocking,
            uvloop=not self.python314,
            websockets=self.script == "websocket.py",
        )


@dataclass(frozen=True)
class Options:
    """How long and how often: seconds a sample, rounds, and whether slow servers take every round."""

    seconds: float = 2
    rounds: int = 5
    all_rounds: bool = False


def pinned(command: Sequence[str], cores: str = str(SERVER_CORE)) -> list[str]:
    """Return the command pinned, with every process and thread it starts, to `cores`."""
    return ["taskset", "-c", cores, *command]


def check_answer(workload: Workload, port: int) -> None:
    """Make one request and raise BenchError unless the answer is 200 with the right body."""
    status, body = fetch(port, workload.path, workload.method, workload.body)
    if status != 200:
        raise BenchError(f"status {status}: {body[:200]!r}")
    if workload.length is not None and len(body) != workload.length:
        raise BenchError(f"{len(body)} bytes instead of {workload.length}")
    if workload.contains not in body:
        raise BenchError(f"{workload.contains!r} is not in the body {body[:200]!r}")


def load_command(workload: Workload, port: int, seconds: float) -> list[str]:
    """Return the command line of wrk, or of what takes its place, for the workload."""
    if workload.script and workload.script.endswith(".py"):
        script, connections = str(LOAD / workload.script), str(workload.connections)
        return pinned([sys.executable, script, str(port), f"{seconds:g}", connections], str(LOAD_CORE))
    return wrk.command(
        f"http://127.0.0.1:{port}{workload.path}",
        core=LOAD_CORE,
        connections=workload.connections,
        seconds=seconds,
        headers=workload.headers,
        script=str(LOAD / workload.script) if workload.script else None,
    )


def sample(workload: Workload, server: Running, seconds: float) -> wrk.Sample:
    """Check the answer, load the server once, check it again; return figures with its processor time."""
    check_answer(workload, server.port)
    figures = loaded(server, load_command(workload, server.port, seconds))
    check_answer(workload, server.port)
    return figures


def loaded(server: Running, line: Sequence[str]) -> wrk.Sample:
    """Run one wrk command against a server; once more when something else took the cores.

    Which of the two samples is kept depends on how busy the cores were, never on the rate.
    """
    first = loaded_once(server, line)
    if not first.disturbed:
        return first
    again = loaded_once(server, line)
    return max(first, again, key=lambda one: max(one.server_cpu, one.load_cpu))


def loaded_once(server: Running, line: Sequence[str]) -> wrk.Sample:
    """Run one wrk command against a server and add the server's processor time to its figures."""
    before, began = server.cpu_s(), time.monotonic()
    figures = wrk.run(line)
    used, took = server.cpu_s() - before, time.monotonic() - began
    wrk.check(figures)
    return replace(
        figures, server_us=round(used / figures.requests * 1e6, 3), server_cpu=round(used / took, 3)
    )


def bring_up(workload: Workload, server: Server, stack: ExitStack) -> Running:
    """Start a server for the workload, check its first answer and warm it up."""
    port = free_port()
    command = pinned(server.command(workload.launch(server).at(port)))
    up = stack.enter_context(running(server.name, command, port))
    check_answer(workload, port)
    warm_up(workload, port)
    return up


def forgets_to_close(server: Server, launch: Launch) -> bool:
    """Whether the server never calls `close()` of a WSGI response, which PEP 3333 requires."""
    port = free_port()
    command = pinned(server.command(replace(launch, app=CLOSING).at(port)))
    with running(server.name, command, port):
        answers = [fetch(port, "/", "GET", None)[1] for _ in range(3)]
    return int(answers[-1]) == 0


def warm_up(workload: Workload, port: int, requests: int = 300) -> None:
    """Make enough requests on one connection that caches, memory and specialised bytecode have settled."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for _ in range(requests):
        connection.request(workload.method, workload.path, body=workload.body)
        connection.getresponse().read()
    connection.close()


def measure(
    workload: Workload, servers: Sequence[Server], options: Options, told: Callable[[str], None]
) -> list[Series]:
    """Start all servers, measure them in turns, end them.

    A server that fails keeps its reason in `Series.failure`; the others go on.
    """
    if workload.interface == "static":
        static.make()
    series = {server.name: Series(server.name) for server in servers}
    with ExitStack() as stack:
        if workload.interface == "proxy":
            stack.enter_context(proxy.upstream(LOAD_CORE))
        up: dict[str, Running] = {}
        for server in servers:
            try:
                if workload.closes and forgets_to_close(server, workload.launch(server)):
                    series[server.name].omits = "never calls close() of a response (PEP 3333)"
                up[server.name] = bring_up(workload, server, stack)
            except (BenchError, OSError, http.client.HTTPException) as error:
                series[server.name].failure = str(error)
                told(f"{workload.name:<16} {server.name:<16} failed: {error}")
        for name, server_up in up.items():
            series[name].command = shlex.join(server_up.command)
            series[name].load = shlex.join(load_command(workload, server_up.port, options.seconds))
        _turns(workload, up, series, options, told)
    return list(series.values())


def _turns(
    workload: Workload,
    up: dict[str, Running],
    series: dict[str, Series],
    options: Options,
    told: Callable[[str], None],
) -> None:
    def one(name: str) -> wrk.Sample:
        up[name].go_on()
        try:
            return sample(workload, up[name], options.seconds)
        except (BenchError, OSError, http.client.HTTPException) as error:
            series[name].failure = str(error)
            return wrk.Sample(0.0, 0, 0.0, 0, 0)
        finally:
            up[name].pause()

    def progress(name: str, figures: wrk.Sample) -> None:
        cores = f"server {figures.server_cpu:.0%} load {figures.load_cpu:.0%}"
        mark = "  DISTURBED" if figures.disturbed else ""
        told(
            f"{workload.name:<12} {name:<16} {figures.rate:>10,.0f}/s  p99 {figures.p99_ms:>8.2f} ms"
            f"  {figures.server_us:>8.2f} us/answer  cores: {cores}{mark}"
        )

    keep = frozenset(up) if options.all_rounds else frozenset({"portway", "nginx"})
    calls = {name: (lambda name=name: one(name)) for name in up}
    time.sleep(0.2)
    for server in up.values():
        server.pause()
    for name, samples in in_turns(calls, options.rounds, keep=keep, told=progress).items():
        series[name].samples = [] if series[name].failure else samples
