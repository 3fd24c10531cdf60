"""Start a server on its core, wait until it answers, read its memory, end it.

Each server leads a session of its own, so that everything it forked can be ended by its pid and
nothing else is ever touched.
"""

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.paths import BUILD, ROOT

TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """A measurement that would not be honest: wrong answer, dead server, socket errors."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass
class Running:
    """A started server.

    Args:
        name: what the result rows call it.
        command: the full command line, `taskset` included, as one would type it.
        port: where it listens on 127.0.0.1.
        process: the leader of its session.
        log: the file with its output.
    """

    name: str
    command: tuple[str, ...]
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def pids(self) -> list[int]:
        """Return the leader and all its living descendants."""
        found, queue = [], [self.process.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            queue += children(pid)
        return found

    def cpu_s(self) -> float:
        """Return the processor seconds that all its processes have used."""
        return sum(cpu_s(pid) for pid in self.pids())

    def tail(self) -> str:
        """Return the last lines of its output, for an error message."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def pause(self) -> None:
        """Stop all its processes: some servers poll without rest, and would take the core from the others."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End a pause."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self, patience_s: float = 5.0) -> None:
        """End it: SIGTERM to the leader, SIGKILL to what is left of its session."""
        pids = self.pids()
        self.go_on()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(patience_s)
            except subprocess.TimeoutExpired:
                pass
        for pid in pids:
            if _session(pid) == self.process.pid:
                _kill(pid)
        self.process.wait()


def children(pid: int) -> list[int]:
    """Return the pids that any thread of `pid` has forked."""
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    except OSError:
        pass  # it has just ended
    return found


def cpu_s(pid: int) -> float:
    """Return user and system seconds of one process, 0.0 once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_kb(pid: int, field: str = "Pss") -> int:
    """Return one figure of /proc/PID/smaps_rollup in KiB, 0 once the process is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    return 0


def start(name: str, command: Sequence[str], port: int, *, env: dict[str, str] | None = None) -> Running:
    """Start `command` in a new session; its output goes to build/bench/logs."""
    logs = BUILD / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name}-{port}.log"
    # PYTHONPATH: every server finds bench.apps, whatever it puts first on sys.path itself. PYTHONHASHSEED:
    # a seed of its own gives each process other collisions in its dicts, which moves pages by some percent.
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONHASHSEED": "0",
        **(env or {}),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=environment,
            cwd=ROOT,
        )
    return Running(name, tuple(command), port, process, log)


def wait_ready(server: Running, timeout_s: float = 30.0) -> None:
    """Return once the port accepts a connection.

    Raises:
        BenchError: the server ended, or did not listen in time.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise BenchError(f"{server.name} ended with {server.process.returncode}:\n{server.tail()}")
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", server.port)) == 0:
                return
        time.sleep(0.02)
    raise BenchError(f"{server.name} does not listen after {timeout_s} s:\n{server.tail()}")


@contextmanager
def running(
    name: str,
    command: Sequence[str],
    port: int,
    *,
    env: dict[str, str] | None = None,
    timeout_s: float = 30.0,
) -> Iterator[Running]:
    """Start a server, wait until it listens, hand it out, end it whatever happens."""
    server = start(name, command, port, env=env)
    try:
        wait_ready(server, timeout_s)
        yield server
    finally:
        server.stop()


def fetch(
    port: int, path: str = "/", method: str = "GET", body: bytes | None = None, timeout_s: float = 10.0
) -> tuple[int, bytes]:
    """Make one request with the standard library's client and return status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request(method, path, body=body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def raise_file_limit(wanted: int = 65536) -> None:
    """Raise the soft limit of open files as far as `wanted` or the hard limit allows."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        top = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(top, soft), hard))


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
