"""The folder that the static workloads serve, and what each server needs to serve it."""

import os
from pathlib import Path

from bench.paths import BUILD

FOLDER = BUILD / "static"
FILES = {"1k.css": 1024, "100k.js": 100 * 1024, "10m.bin": 10 * 1024 * 1024}
CHANGED = 1_700_000_000
LAST_MODIFIED = "Tue, 14 Nov 2023 22:13:20 GMT"

CONFIGURATION = """\
app = "bench.apps.hello_wsgi:app"
[[routes]]
path = "/static/*"
static = "static"
"""


def make() -> Path:
    """Write build/bench/static and Portway's configuration beside it; return the folder."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, size in FILES.items():
        path = FOLDER / name
        if not path.exists() or path.stat().st_size != size:
            path.write_bytes(os.urandom(size // 2).hex().encode())
        os.utime(path, (CHANGED, CHANGED))
    configuration().write_text(CONFIGURATION)
    return FOLDER


def configuration() -> Path:
    """Return Portway's configuration file."""
    return BUILD / "static.toml"
