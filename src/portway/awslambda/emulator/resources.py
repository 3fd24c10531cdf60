"""The resources of a REST API whose application declares them: a Chalice application's routes.

They are asked of the application in a process of its own, with the function's environment: this one
never imports it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping

from .function import Function, variables

Resources = Mapping[str, list[str]]
"""Template → methods: "/users/{id}" → ["GET", "PUT"]."""

_LONGEST_S = 30.0


def declared(function: Function) -> Resources:
    """Return the resources that an application declares; none for one that does not, or cannot be imported.

    Args:
        function: The function; PORTWAY_APP in its environment names the application.
    """
    environ = variables(function, "")
    del environ["AWS_LAMBDA_RUNTIME_API"]  # nothing is to be started up
    command = [sys.executable, "-m", "portway.awslambda.emulator.resources"]
    try:
        done = subprocess.run(
            command,
            cwd=function.task_root,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {}
    lines = done.stdout.splitlines()
    return json.loads(lines[-1]) if done.returncode == 0 and lines else {}


def main() -> None:
    """Print the resources of the application that PORTWAY_APP names, as the last line of the output."""
    from ..front.chalice import is_chalice
    from ..loading import load

    sys.path.insert(0, os.getcwd())
    app = load(os.environ["PORTWAY_APP"])
    routes = app.routes if is_chalice(app) else {}
    text = json.dumps({template: sorted(methods) for template, methods in routes.items()})
    sys.stdout.write(f"\n{text}\n")


if __name__ == "__main__":
    main()
