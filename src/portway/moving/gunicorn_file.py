"""gunicorn.conf.py is a Python program; it is run as gunicorn runs it, in a process of its own.

Only what it leaves in its namespace comes back. The application is not imported unless the file does that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from portway.errors import ConfigFileError

TIMEOUT_S = 30.0

# Runs in the other process. The file is the module "__config__", and the working directory is in the path.
_PROGRAM = """
import importlib.machinery, importlib.util, json, os, sys
sys.path.insert(0, os.getcwd())
spec = importlib.util.spec_from_file_location("__config__", sys.argv[1],
    loader=importlib.machinery.SourceFileLoader("__config__", sys.argv[1]))
module = importlib.util.module_from_spec(spec)
sys.modules["__config__"] = module
spec.loader.exec_module(module)
def plain(value):
    if value is None or isinstance(value, (bool, int, float, str)): return value
    if isinstance(value, dict): return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)): return [plain(item) for item in value]
    return None if callable(value) else str(value)
found = {name: plain(value) for name, value in vars(module).items()
         if not name.startswith("_") and not isinstance(value, type(os))}
with open(int(sys.argv[2]), "w") as out:
    json.dump(found, out)
"""


def read_gunicorn_file(path: Path, cwd: Path, environ: dict[str, str]) -> dict[str, Any]:
    """Run a configuration file of gunicorn and return the names that it sets; functions come as None.

    Args:
        path: The file.
        cwd: The directory that gunicorn would be started in.
        environ: The environment it would have.

    Raises:
        ConfigFileError: It cannot be read, or it raises.
    """
    if not path.is_file():
        raise ConfigFileError(str(path), "no such file", "name the file that gunicorn reads.")
    reading, writing = os.pipe()
    try:
        outcome = subprocess.run(
            [sys.executable, "-c", _PROGRAM, str(path.absolute()), str(writing)],
            cwd=cwd,
            env=environ,
            pass_fds=[writing],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT_S,
            text=True,
            errors="replace",
        )
        os.close(writing)
        writing = -1
        with os.fdopen(reading) as answer:
            reading = -1
            said = answer.read()
    except subprocess.TimeoutExpired:
        raise ConfigFileError(str(path), f"it has not ended after {TIMEOUT_S:g} seconds", _HINT) from None
    finally:
        for descriptor in (reading, writing):
            if descriptor >= 0:
                os.close(descriptor)
    if outcome.returncode or not said:
        lines = outcome.stderr.strip().splitlines() or [f"exit code {outcome.returncode}"]
        raise ConfigFileError(str(path), f"it fails when it is run: {lines[-1]}", _HINT)
    found: dict[str, Any] = json.loads(said)
    return found


_HINT = "gunicorn --check-config shows the same; it is run with this Python and in this directory."
