"""10,000 idle keep-alive connections: what one costs in memory, and whether others notice.

Two instances of each server run side by side, one of them holding the idle connections (each has made
one request), and are loaded by turns: the ratio of their rates is what the idle connections cost others.
Memory is the server's own (PSS of all its processes); what the kernel keeps for a socket is the same for
every server and not counted.
"""

import shlex
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from bench import wrk
from bench.process import BenchError, Running, free_port, memory_kb, raise_file_limit, running
from bench.result import Result, Row, Verdict
from bench.rounds import Series, in_turns, ratio
from bench.servers import Launch, Server
from bench.workload import LOAD_CORE, Options, loaded, pinned

NAME, TITLE = "idle", "10,000 idle keep-alive connections"
CONNECTIONS = 10_000
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: idle\r\nAccept: */*\r\n\r\n"
# The interface each is measured with: Portway with both.
SERVERS = (
    ("nginx", "wsgi"),
    ("portway", "wsgi"),
    ("portway", "asgi"),
    ("fastpysgi", "wsgi"),
    ("bjoern", "wsgi"),
    ("granian", "wsgi"),
    ("gunicorn", "wsgi"),
    ("uvicorn", "asgi"),
)


@contextmanager
def idle_connections(port: int, count: int = CONNECTIONS) -> Iterator[list[socket.socket]]:
    """Open `count` connections, make one request on each, and keep them open."""
    held: list[socket.socket] = []
    try:
        for _ in range(count):
            sock = socket.create_connection(("127.0.0.1", port), timeout=10)
            held.append(sock)
            sock.sendall(REQUEST)
            answer = sock.recv(65536)
            while not answer.endswith(b"Hello, World!"):
                more = sock.recv(65536)
                if not more:
                    raise BenchError(f"connection {len(held)} was closed after {answer!r}")
                answer += more
        yield held
    finally:
        for sock in held:  # reset: ten thousand connections in TIME_WAIT would slow what comes next
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()


def still_open(held: Sequence[socket.socket]) -> int:
    """Return how many of the connections the server has not closed."""
    count = 0
    for sock in held:
        sock.setblocking(False)
        try:
            count += sock.recv(1) != b""
        except BlockingIOError:
            count += 1
        except OSError:
            pass
    return count


def pss_kb(server: Running) -> int:
    """Return the proportional memory of all processes of a server in KiB."""
    return sum(memory_kb(pid) for pid in server.pids())


def load_command(port: int, seconds: float) -> list[str]:
    """Return the load that runs beside the idle connections."""
    return wrk.command(f"http://127.0.0.1:{port}/", core=LOAD_CORE, seconds=seconds)


def one_server(
    server: Server, interface: str, options: Options, told: Callable[[str], None]
) -> dict[str, Any]:
    """Measure one server: bytes a connection, rate with them and without."""
    app = "hello" if server.name == "nginx" else f"bench.apps.hello_{interface}:app"
    with ExitStack() as stack:
        up: dict[str, Running] = {}
        for kind in ("without", "with"):
            port = free_port()
            command = pinned(server.command(Launch(app, interface, port, connections=CONNECTIONS + 100)))
            up[kind] = stack.enter_context(running(server.name, command, port))
            wrk.run(load_command(port, 1))
        before = pss_kb(up["with"])
        held = stack.enter_context(idle_connections(up["with"].port))
        after = pss_kb(up["with"])
        calls = {
            kind: (lambda kind=kind: loaded(up[kind], load_command(up[kind].port, options.seconds)))
            for kind in up
        }
        series = {
            kind: Series(kind, samples=samples)
            for kind, samples in in_turns(calls, options.rounds, keep=frozenset(up)).items()
        }
        alive = still_open(held)
    found = {
        "server": f"{server.name} {'' if server.name == 'nginx' else interface}".strip(),
        "bytes": (after - before) * 1024 / CONNECTIONS,
        "before_kb": before,
        "after_kb": after,
        "open": alive,
        "rate": series["without"].rate,
        "kept": ratio(series["with"], series["without"]),
        "commands": [shlex.join(command), shlex.join(load_command(port, options.seconds))],
    }
    told(
        f"{NAME:<12} {found['server']:<16} {found['bytes']:>8,.0f} bytes/connection  kept {found['kept']:.2f}"
        f"  open {alive}"
    )
    return found


def measure(servers: Sequence[Server], options: Options, told: Callable[[str], None]) -> Result:
    """Measure all servers one after the other and return the table."""
    raise_file_limit()
    by_name, figures, rows = {server.name: server for server in servers}, [], []
    for name, interface in SERVERS:
        if name not in by_name:
            continue
        try:
            found = one_server(by_name[name], interface, options, told)
        except (BenchError, OSError) as error:
            told(f"{NAME:<12} {name:<16} failed: {error}")
            rows.append(Row((f"{name} {interface}", "failed", "", "", "")))
            continue
        figures.append(found)
        rows.append(
            Row(
                (
                    found["server"],
                    f"{found['bytes']:,.0f}",
                    f"{found['rate']:,.0f}",
                    f"{found['kept']:.2f}",
                    f"{found['open']:,}",
                ),
                tuple(found["commands"]),
            )
        )
    return Result(
        NAME,
        TITLE,
        ("server", "bytes a connection", "answers/s without", "rate with ÷ without", "still open"),
        rows,
        options=f"{options.rounds} rounds of {options.seconds:g} s",
        verdicts=_verdicts(figures),
        raw=figures,
    )


def _verdicts(figures: Sequence[dict[str, Any]]) -> list[Verdict]:
    nginx = next((one["bytes"] for one in figures if one["server"] == "nginx"), 2048.0)
    found = []
    for one in figures:
        if one["server"].startswith("portway"):
            found.append(
                Verdict(
                    f"{one['server']}, bytes a connection",
                    round(one["bytes"]),
                    2048.0,
                    round(min(nginx, 2048.0)),
                    smaller=True,
                )
            )
            found.append(Verdict(f"{one['server']}, rate of others", round(one["kept"], 3), 0.95, 0.98))
    return found
