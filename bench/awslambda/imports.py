"""Milliseconds and memory of importing an adapter and making a handler, in fresh interpreters."""

from __future__ import annotations

import subprocess
import sys
from statistics import median

CODE = """
import time
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4
before, started = resident(), time.perf_counter()
{statement}
print(time.perf_counter() - started, resident() - before)
"""
WSGI = "lambda environ, start_response: []"
STATEMENTS = {
    "nothing": "pass",
    "portway": f"from portway.awslambda import handler; handler({WSGI})",
    "apig-wsgi": f"from apig_wsgi import make_lambda_handler; make_lambda_handler({WSGI})",
    "mangum": "from mangum import Mangum\nasync def app(s, r, q): pass\nMangum(app)",
}


def measured(rounds: int) -> dict[str, tuple[float, float]]:
    """Return the median milliseconds and KiB of each adapter."""
    found: dict[str, list[tuple[float, int]]] = {}
    for _ in range(rounds):
        for name, statement in STATEMENTS.items():
            # Isolated from the user's site directory, whose start-up files would load modules for it.
            command = [sys.executable, "-s", "-c", CODE.format(statement=statement)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds, kibibytes = done.stdout.split()
            found.setdefault(name, []).append((float(seconds), int(kibibytes)))
    return {
        name: (median(seconds for seconds, _ in runs) * 1000, median(kib for _, kib in runs))
        for name, runs in found.items()
    }
