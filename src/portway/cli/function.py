"""The options of an emulated Lambda function, for the commands that run one: `dev`, `invoke`, `emulate`."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from portway.apps import Target, parse_target
from portway.apps.importing import package_root
from portway.config import Loaded
from portway.config.amounts import Count, Seconds
from portway.config.env_file import read_env_file
from portway.config.kinds import Kind, Refused
from portway.errors import AppNotFound, BadValue, UsageError, shown

if TYPE_CHECKING:
    from portway.awslambda.emulator.function import Function
    from portway.awslambda.front.gate import Declared

SETTINGS = ("app", "factory", "chdir", "env-file", "stage")
"""The declared options that these commands take."""

DOORS = ("rest", "http", "url", "alb")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_TIMEOUT_S = 3.0
_MAIN = "portway.awslambda.main"


def function_parameters() -> list[click.Parameter]:
    """Return the options that say what Lambda is told about the function."""
    return [
        click.Option(
            ["--client"],
            type=click.Choice(["auto", "aws", "portway"]),
            default="auto",
            help="What fetches the events: awslambdaric, Lambda's own client for Python, or Portway's, "
            "which streams. auto takes Lambda's where it is installed and nothing is streamed. [auto]",
        ),
        click.Option(
            ["--memory"],
            metavar="MB",
            default="128",
            help="The function's memory; its processes are killed when they hold more. [128]",
        ),
        click.Option(
            ["--function-timeout"],
            metavar="SECONDS",
            help="The function's timeout; its process is killed when it takes longer. [3]",
        ),
        click.Option(
            ["-e", "--env", "env"],
            metavar="NAME[=VALUE]",
            multiple=True,
            help="An environment variable of the function; without a value, this shell's. Nothing else of "
            "this shell reaches it. Repeatable.",
        ),
        click.Option(["--function-name"], metavar="NAME", default="", help="The function's name."),
        click.Option(["--region"], metavar="REGION", default="us-east-1", help="AWS_REGION. [us-east-1]"),
        click.Option(["--snapstart"], is_flag=True, help="Initialise the function as SnapStart does."),
        click.Option(
            ["--max-concurrency"],
            metavar="N",
            help="Events at once in one environment, as on Lambda Managed Instances; it is told so in "
            "AWS_LAMBDA_MAX_CONCURRENCY. Without it, one after another.",
        ),
        click.Option(
            ["--extensions"],
            metavar="DIR",
            help="A directory of external extensions, each of whose files is run beside the function: "
            "/opt/extensions on Lambda.",
        ),
    ]


def function_of(
    context: click.Context, loaded: Loaded, environ: Mapping[str, str], *, stream: bool = False
) -> Function:
    """Return the function that a command line describes.

    Args:
        context: The command's.
        loaded: The settings.
        environ: This process's environment.
        stream: Whether the front door is set up to stream; the handler is told so.

    Raises:
        PortwayError: A value that an option does not take, or no application.
    """
    # Late: the commands that emulate nothing do not pay for it.
    from portway.awslambda.emulator.function import Function, command_of, own_options

    parameters = context.params
    root, app = _locate(loaded)
    variables = {**own_options(environ), **_stage(loaded, environ), **_env_file(loaded)}
    variables |= _given(parameters["env"], environ)
    if stream:
        variables.setdefault("PORTWAY_RESPONSE_MODE", "stream")
    client = _client(parameters["client"], variables.get("PORTWAY_RESPONSE_MODE") == "stream")
    name = parameters["function_name"] or re.sub(r"[^A-Za-z0-9_-]", "-", root.name)[:64] or "function"
    if not _FUNCTION_NAME.fullmatch(name):
        raise BadValue("--function-name", name, "must be letters, digits, - and _, 64 at most")
    concurrency = parameters["max_concurrency"] or variables.get("AWS_LAMBDA_MAX_CONCURRENCY")
    extensions = Path(parameters["extensions"]).resolve() if parameters["extensions"] else None
    if extensions is not None and not extensions.is_dir():
        raise BadValue("--extensions", parameters["extensions"], "must be a directory")
    return Function(
        command=command_of(client, _MAIN),
        handler=_MAIN,
        task_root=root,
        name=name,
        region=parameters["region"],
        memory_mb=_read(Count(64, 10_240), "--memory", parameters["memory"]),
        timeout_s=_timeout(parameters["function_timeout"], loaded.settings.function.timeout),
        environ={**variables, "PORTWAY_APP": app},
        snapstart=parameters["snapstart"],
        concurrency=_read(Count(1, 1600), "--max-concurrency", concurrency) if concurrency else 0,
        extensions=extensions,
    )


def door_of(function: Function, wanted: str, flag: str) -> tuple[Any, Declared | None]:
    """Return the front door of a function, and what its application declares of a REST API (Chalice's do).

    Args:
        function: The function.
        wanted: The door that the user has named, "auto" for the application's own.
        flag: Where it was named, for errors.

    Raises:
        BadValue: A Chalice application behind a door that it does not understand.
    """
    from portway.awslambda.front.door import auto

    found = None
    if importlib.util.find_spec("chalice") is not None:
        from portway.awslambda.emulator.api import declared

        found = declared(function)
    if found is None:
        return auto(False) if wanted == "auto" else wanted, None
    if wanted not in ("auto", "rest"):
        problem = "must be rest: a Chalice application understands no other events"
        raise BadValue(flag, wanted, problem, hint="leave it out, or say rest.")
    return "rest", found


def _timeout(flag: str | None, configured: float) -> float:
    """Return the flag's value, else what a file or the environment says, else Lambda's default."""
    if flag is None:
        return configured or _TIMEOUT_S
    return float(_read(Seconds(0.1, 900), "--function-timeout", flag))


def _read(kind: Kind, flag: str, text: str) -> Any:
    try:
        return kind.from_text(text)
    except Refused as refusal:
        raise BadValue(flag, text, str(refusal)) from None


def _client(wanted: str, streams: bool) -> str:
    installed = importlib.util.find_spec("awslambdaric") is not None
    if wanted == "aws" and not installed:
        hint = "pip install awslambdaric, or --client portway."
        raise BadValue("--client", "aws", "must be a client that is installed", hint=hint)
    if wanted == "auto":
        return "aws" if installed and not streams else "portway"
    return wanted


def _env_file(loaded: Loaded) -> dict[str, str]:
    name = loaded.settings.app.env_file
    return read_env_file(name) if name else {}


def _stage(loaded: Loaded, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the configuration adds; a function of its own environment takes all of it."""
    if not loaded.variables and not loaded.settings.app.stage:
        return {}
    from portway.site.environment import environment_of

    return dict(environment_of(loaded, environ, whole=True))


def _given(pairs: tuple[str, ...], environ: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not _NAME.fullmatch(name):
            raise BadValue("--env", pair, "must be NAME=value, or NAME")
        if not equals and name not in environ:
            hint = f"give it a value: --env {name}=value."
            raise BadValue("--env", pair, "must name a variable that is set here", hint=hint)
        found[name] = value if equals else environ[name]
    return found


def _locate(loaded: Loaded) -> tuple[Path, str]:
    """Return the directory that Lambda would import from, and the application's name there.

    Raises:
        PortwayError: There is no application, or Lambda could not import it by its name.
    """
    app = loaded.settings.app
    if not app.app:
        raise UsageError(
            "no application is named", 'name it as module:attr, or app = "module:attr" in portway.toml.'
        )
    target = parse_target(app.app)
    directory = Path(app.chdir or os.getcwd()).resolve()
    module = target.module
    if target.file:
        directory, module = _module_of(target, directory / target.file)
    name = f"{module}:{'.'.join(target.attribute)}" if target.attribute else module
    if target.call is not None and (target.call.args or target.call.kwargs):
        hint = "write a function without parameters that makes the application."
        raise AppNotFound(app.app, f"a Lambda function cannot call {shown(app.app)} with arguments", hint)
    return directory, f"{name}()" if target.call is not None or app.factory else name


def _module_of(target: Target, path: Path) -> tuple[Path, str]:
    if not path.is_file():
        raise AppNotFound(target.text, f"no file {shown(target.file)}", "name it from this directory.")
    root, module, packaged = package_root(path.resolve())
    if not packaged and (not module.isidentifier() or module in sys.stdlib_module_names):
        text = f"Lambda imports a module by its name, and {shown(path.name)} has none of its own"
        raise AppNotFound(target.text, text, "rename the file: letters, digits, _, and no module of Python.")
    return root, module
