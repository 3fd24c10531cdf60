"""Instructions per request, counted by callgrind: the one figure that noise cannot move.

Only user space is counted, not the kernel's part of the system calls. Servers run with one thread and
get the same bytes over eight connections in lockstep. Each is run twice, with more requests the second
time; the difference leaves out start and end (callgrind's switches do not reach forked workers).
"""

import re
import shlex
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.catalogue import BROWSER
from bench.process import BenchError, free_port, start, wait_ready
from bench.result import Result, Row
from bench.servers import Launch, Server
from bench.workload import Options, pinned

NAME, TITLE = "instructions", "Instructions in user space per request (callgrind)"
SERVERS = ("nginx", "portway", "fastpysgi", "bjoern", "uvicorn")
CONNECTIONS, WARM, COUNTED = 8, 1600, 4800
PLAIN = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"  # as wrk sends it
BROWSER_REQUEST = ("GET / HTTP/1.1\r\n" + "\r\n".join(BROWSER) + "\r\n\r\n").encode()
CASES = (
    ("WSGI hello", "wsgi", PLAIN),
    ("WSGI browser", "wsgi", BROWSER_REQUEST),
    ("ASGI hello", "asgi", PLAIN),
    ("ASGI browser", "asgi", BROWSER_REQUEST),
)
_TOTALS = re.compile(r"^totals: (\d+)", re.M)


def totals(folder: Path) -> int:
    """Return the instructions of all processes, from the files they left at their end."""
    found = [_TOTALS.search(path.read_text()) for path in folder.glob("out.*")]
    return sum(int(match[1]) for match in found if match)


def drive(port: int, request: bytes, count: int) -> None:
    """Make `count` requests over eight connections in lockstep: all send, then all receive."""
    connections = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(CONNECTIONS)]
    try:
        for _ in range(count // CONNECTIONS):
            for sock in connections:
                sock.sendall(request)
            for sock in connections:
                receive(sock)
    finally:
        for sock in connections:
            sock.close()


def receive(sock: socket.socket) -> None:
    """Read one whole answer."""
    answer = b""
    while not answer.endswith(b"Hello, World!"):
        more = sock.recv(65536)
        if not more:
            raise BenchError(f"closed after {answer!r}")
        answer += more


def one_run(server: Server, interface: str, request: bytes, count: int, core: str) -> tuple[int, str]:
    """Start a server under callgrind, make `count` requests; return all its instructions and its command."""
    app = "hello" if server.name == "nginx" else f"bench.apps.hello_{interface}:app"
    port = free_port()
    with TemporaryDirectory(prefix="callgrind-") as folder:
        tool = [
            "valgrind",
            "--tool=callgrind",
            "--trace-children=yes",
            f"--callgrind-out-file={folder}/out.%p",
        ]
        command = pinned([*tool, *server.command(Launch(app, interface, port, threads=1))], core)
        up = start(f"callgrind-{server.name}", command, port, env={"PYTHONHASHSEED": "0"})
        try:
            wait_ready(up, 120)
            drive(port, request, count)
        finally:
            up.stop(patience_s=60)
        found = totals(Path(folder))
    if not found:
        raise BenchError(f"callgrind left no figures:\n{up.tail()}")
    return found, shlex.join(command).replace(folder, ".")


def one_case(server: Server, interface: str, request: bytes, core: str) -> tuple[float, str]:
    """Return instructions per request, the difference of a long run and a short one, and the command."""
    repeats = 2 if server.name == "portway" else 1  # what disturbs a run only ever adds to it
    short = min(one_run(server, interface, request, WARM, core)[0] for _ in range(repeats))
    long, command = min(one_run(server, interface, request, WARM + COUNTED, core) for _ in range(repeats))
    return (long - short) / COUNTED, command


def measure(servers: Sequence[Server], options: Options, told: Callable[[str], None]) -> Result:
    """Count every case of every server, two at a time since time does not matter; return the table."""
    cases = [(server, case) for server in servers for case in CASES if _speaks(server, case[1])]
    cores = ("0", "1")
    found: dict[tuple[str, str], tuple[float, str] | None] = {}

    def work(number: int) -> None:
        for server, (title, interface, request) in cases[number :: len(cores)]:
            try:
                case = one_case(server, interface, request, cores[number])
                found[server.name, title] = case
                told(f"{NAME:<12} {server.name:<16} {title}: {case[0]:,.0f}")
            except (BenchError, OSError, subprocess.SubprocessError) as error:
                found[server.name, title] = None
                told(f"{NAME:<12} {server.name:<16} {title} failed: {error}")

    with ThreadPoolExecutor(len(cores)) as pool:
        list(pool.map(work, range(len(cores))))
    return Result(
        NAME,
        TITLE,
        ("server", *(title for title, _, _ in CASES)),
        [_row(server, found) for server in servers],
        options=f"{COUNTED} requests over {CONNECTIONS} connections after {WARM}",
        raw=[
            {"server": name, "case": title, "instructions": case and case[0]}
            for (name, title), case in found.items()
        ],
    )


def _speaks(server: Server, interface: str) -> bool:
    return interface in server.interfaces or (server.name == "nginx" and interface == "wsgi")


def _row(server: Server, found: Mapping[tuple[str, str], tuple[float, str] | None]) -> Row:
    cells, commands = [server.name], []
    for title, _, _ in CASES:
        case = found.get((server.name, title), (0.0, ""))
        cells.append("failed" if case is None else f"{case[0]:,.0f}" if case[1] else "")
        commands += [case[1]] if case and case[1] else []
    return Row(tuple(cells), tuple(commands))
