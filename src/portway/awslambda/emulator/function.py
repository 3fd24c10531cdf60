"""What Lambda is told about a function, and the environment variables that it gives to it.

The variables are made from nothing: what stands in the developer's shell does not exist on Lambda, and
an application that works only because of it should fail here already.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from ..options import FIELDS

ACCOUNT = "123456789012"
INIT_LIMIT_S = 10.0
"""What Lambda gives an initialisation. It starts one that takes longer over again; here the event fails."""
MULTI_INIT_LIMIT_S = 130.0
"""What it gives one of a multi-concurrency environment, unless the function's timeout is longer."""


_OF_THE_SERVER_TOO = frozenset(("access_log", "app", "factory", "interface", "lifespan", "root_path"))
"""Options that `portway serve` takes from the same variables, with values of its own."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function's configuration.

    Attributes:
        command: What is run in each environment: a client of the Runtime API.
        handler: The handler setting, `_HANDLER`.
        task_root: The directory of the code, LAMBDA_TASK_ROOT; absolute.
        name: The function's name.
        region: AWS_REGION.
        memory_mb: The memory limit, and with it what the processes may hold resident.
        timeout_s: The timeout of one invocation.
        environ: The function's own environment variables.
        snapstart: Whether it is initialised for a snapshot (`AWS_LAMBDA_INITIALIZATION_TYPE`).
        init_limit_s: How long its initialisation may take.
        grace_s: What its processes get at their end beyond what Lambda gives them.
        concurrency: How many events a multi-concurrency environment takes at once; 0 for an ordinary one.
        extensions: The directory of external extensions, or None.
    """

    command: tuple[str, ...]
    handler: str
    task_root: Path
    name: str = "function"
    region: str = "us-east-1"
    memory_mb: int = 128
    timeout_s: float = 3.0
    environ: Mapping[str, str] = field(default_factory=dict)
    snapstart: bool = False
    init_limit_s: float = INIT_LIMIT_S
    grace_s: float = 0.0
    concurrency: int = 0
    extensions: Path | None = None

    @property
    def init_s(self) -> float:
        """How long the initialisation may take: longer in a multi-concurrency environment."""
        return max(MULTI_INIT_LIMIT_S, self.timeout_s) if self.concurrency else self.init_limit_s

    def extension_files(self) -> list[Path]:
        """Return the external extensions: the files of their directory, all of them, as Lambda does."""
        return sorted(path for path in self.extensions.iterdir() if path.is_file()) if self.extensions else []

    @property
    def arn(self) -> str:
        """The function's ARN, in the account that AWS's examples use."""
        return f"arn:aws:lambda:{self.region}:{ACCOUNT}:function:{self.name}"


def command_of(client: str, handler: str) -> tuple[str, ...]:
    """Return what runs a function.

    Args:
        client: "aws" for AWS's own Runtime API client (the package awslambdaric), "portway" for Portway's.
        handler: The handler setting.
    """
    if client == "aws":
        return (sys.executable, "-m", "awslambdaric", handler)
    return (sys.executable, "-m", "portway.awslambda")


def variables(function: Function, runtime_api: str) -> dict[str, str]:
    """Return the environment of a function's process.

    Args:
        function: The function.
        runtime_api: "host:port" of its environment's Runtime API.
    """
    stream = f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{uuid4().hex}"
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/opt/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": _python_path(),
        "AWS_REGION": function.region,
        "AWS_DEFAULT_REGION": function.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info[0]}.{sys.version_info[1]}",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start" if function.snapstart else "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": stream,
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "LAMBDA_TASK_ROOT": str(function.task_root),
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "_HANDLER": function.handler,
        **function.environ,
        **({"AWS_LAMBDA_MAX_CONCURRENCY": str(function.concurrency)} if function.concurrency else {}),
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
    }


_OF_THE_RUNTIME_ALONE = frozenset(
    (
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_XRAY_CONTEXT_MISSING",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
        "PYTHONPATH",
        "_HANDLER",
    )
)


def extension_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what of a function's variables its external extensions have."""
    return {name: value for name, value in environ.items() if name not in _OF_THE_RUNTIME_ALONE}


def _python_path() -> str:
    """Return where this package lies: AWS's own client has a directory in PYTHONPATH, too."""
    own = Path(__file__).parents[3]
    return os.pathsep.join([str(own), *filter(None, [os.environ.get("PYTHONPATH")])])


def own_options(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a shell that are options of the handler alone: set for it, and no leak."""
    known = {variable for name, (variable, _, _) in FIELDS.items() if name not in _OF_THE_SERVER_TOO}
    return {name: value for name, value in environ.items() if name in known}
