"""Run wrk and read what it prints. `parse` is pure; `run` is the only part that starts anything."""

import re
import resource
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.process import BenchError

_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0, "h": 3_600_000.0}
_P99 = re.compile(r"^\s+99%\s+([\d.]+)(us|ms|s|m|h)\s*$", re.M)
_TOTAL = re.compile(r"^\s+(\d+) requests in ([\d.]+)(us|ms|s|m|h), ", re.M)
_RATE = re.compile(r"^Requests/sec:\s+([\d.]+)", re.M)
_ERRORS = re.compile(r"^\s+Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", re.M)
_STATUS = re.compile(r"^\s+Non-2xx or 3xx responses: (\d+)", re.M)


@dataclass(frozen=True)
class Sample:
    """One run of wrk.

    Args:
        rate: answers per second.
        requests: answers counted.
        p99_ms: 99th percentile of the latency.
        errors: failed connects, reads, writes and time-outs together.
        refused: answers whose status was not 2xx or 3xx.
        load_cpu: share of its core that wrk used; near 1.0 the load is the limit, not the server.
        server_us: processor microseconds the server used per answer, 0 when not known.
        server_cpu: share of its core that the server used.
    """

    rate: float
    requests: int
    p99_ms: float
    errors: int
    refused: int
    load_cpu: float = 0.0
    server_us: float = 0.0
    server_cpu: float = 0.0

    @property
    def disturbed(self) -> bool:
        """Tell whether neither side had its core to itself: something else was running."""
        return self.server_cpu > 0 and max(self.server_cpu, self.load_cpu) < 0.9


def command(
    url: str,
    *,
    core: int | None = 1,
    connections: int = 32,
    seconds: float = 2,
    script: str | None = None,
    headers: Sequence[str] = (),
) -> list[str]:
    """Return the wrk command line, pinned to `core`."""
    line = [] if core is None else ["taskset", "-c", str(core)]
    line += ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency"]
    for header in headers:
        line += ["-H", header]
    if script:
        line += ["-s", script]
    return [*line, url]


def parse(text: str) -> Sample:
    """Read wrk's report.

    Raises:
        BenchError: it is not a report, or wrk got no answer at all.
    """
    total, rate, p99 = _TOTAL.search(text), _RATE.search(text), _P99.search(text)
    if not (total and rate and p99):
        raise BenchError(f"not a report of wrk: {text!r}")
    errors, status = _ERRORS.search(text), _STATUS.search(text)
    return Sample(
        rate=float(rate[1]),
        requests=int(total[1]),
        p99_ms=float(p99[1]) * _UNITS_MS[p99[2]],
        errors=sum(map(int, errors.groups())) if errors else 0,
        refused=int(status[1]) if status else 0,
    )


def check(sample: Sample) -> None:
    """Raise BenchError unless every request was answered, and with 2xx or 3xx."""
    if not sample.requests or sample.errors or sample.refused:
        raise BenchError(
            f"{sample.errors} socket errors, {sample.refused} refusals in {sample.requests} answers"
        )


def run(line: Sequence[str], timeout_s: float = 120.0) -> Sample:
    """Run wrk to its end and return the parsed report with wrk's share of its core."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    result = subprocess.run(line, capture_output=True, text=True, timeout=timeout_s, check=False)
    took, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if result.returncode:
        raise BenchError(f"wrk ended with {result.returncode}: {result.stderr.strip()}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    sample = parse(result.stdout)
    return Sample(**{**sample.__dict__, "load_cpu": round(used / took, 3)})
