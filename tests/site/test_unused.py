"""A server without routes knows nothing of sites: none of it is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from pathlib import Path
from portway.cli import server
from portway.cli.session import Session
from portway.config import resolve
loaded = resolve({}, {}, Path.cwd())
assert server.site_of(loaded) is None
assert server.environment_in(loaded, Session({})) is None
import portway.server.arbiter, portway.server.asgi_worker, portway.server.wsgi_worker
ours = ("portway.site", "portway.config.stages", "portway.config.route_keys", "portway.config.variables")
print([name for name in sys.modules if name.startswith(ours)])
"""


def test_nothing_is_imported(tmp_path: Path) -> None:
    (tmp_path / "portway.toml").write_text('app = "app:app"\n[stages.prod]\nworkers = 2\n')
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False
    )
    # The stage's keys are looked at, in case one is misspelt.
    assert (done.stdout, done.stderr) == ("['portway.config.stages']\n", "")
    (tmp_path / "portway.toml").write_text('app = "app:app"\n')
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
