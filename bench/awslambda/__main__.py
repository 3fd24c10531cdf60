"""`python -m bench.awslambda [ROUNDS]`: the figures, with the floor and the aim of each.

Exits 1 when a floor is missed.
"""

from __future__ import annotations

import platform
import sys
import tempfile

from bench.awslambda import emulated, events, imports, streaming

# Figure → (floor, aim), as a share of the peer's figure; the last in milliseconds.
BOUNDS = {
    "ASGI, per event, against Mangum": (1 / 3, 1 / 5),
    "ASGI with lifespan, per event, against Mangum": (1 / 3, 1 / 5),
    "WSGI, per event, against apig-wsgi": (1.0, 0.7),
    "import, against apig-wsgi": (1.0, 0.5),
    "import, against Mangum": (1.0, 0.15),
    "first byte of a stream, ms": (5.0, 5.0),
    "first byte of a stream through the emulator, ms": (5.0, 5.0),
}


def main(rounds: int) -> int:
    """Measure, print a table, and return the exit status."""
    found = events.measured(rounds)
    starts = imports.measured(max(5, rounds // 20))
    with tempfile.TemporaryDirectory() as directory:
        first = streaming.measured(rounds, directory)
        emulated_first = emulated.measured(min(rounds, 200), directory)
    for name, samples in sorted(found.items()):
        print(f"{name:24} {sorted(samples)[len(samples) // 2]:8.2f} µs per event")
    nothing = starts["nothing"][1]
    for name, (milliseconds, kibibytes) in starts.items():
        print(f"{name:24} {milliseconds:8.2f} ms {kibibytes - nothing:8.0f} KiB at import")
    figures = [
        events.ratio(found, "asgi portway", "asgi mangum"),
        events.ratio(found, "asgi+lifespan portway", "asgi+lifespan mangum"),
        events.ratio(found, "wsgi portway", "wsgi apig-wsgi"),
        starts["portway"][0] / starts["apig-wsgi"][0],
        starts["portway"][0] / starts["mangum"][0],
        first,
        emulated_first,
    ]
    print(f"\nPython {platform.python_version()}\n\n| figure | measured | floor | aim |\n|---|---|---|---|")
    missed = 0
    for (name, (floor, aim)), figure in zip(BOUNDS.items(), figures, strict=True):
        missed += figure > floor
        print(f"| {name} | {figure:.2f}{' MISSED' if figure > floor else ''} | {floor:.2f} | {aim:.2f} |")
    return 1 if missed else 0


sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
