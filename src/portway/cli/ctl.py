"""`portway ctl`: look into a running server, and tell it what to do."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any

import click

from portway.cli.command import SETTINGS, Commands
from portway.cli.server_link import ServerError, ServerLink, find, finding_options, signal_target
from portway.config.declared import BY_NAME
from portway.config.kinds import Choice

_HELP = """Talk to a running server.

The server is found by --control, by PORTWAY_CONTROL, or by control in portway.toml (or pyproject.toml) of
this directory. With a pid file alone, reload and stop work too, by signals."""

_JSON = ["--json", "as_json"]


def ctl_command() -> click.Command:
    """Return the command with its subcommands."""
    argument = click.Argument(["argument"], metavar="[N]", type=click.INT, required=False)
    level = click.Argument(["argument"], metavar="LEVEL", type=click.Choice(_levels()))
    quick = click.Option(["--quick"], is_flag=True, help="Do not wait for requests in flight.")
    commands = [
        _command("status", _status, "Show what the server is doing."),
        _command("workers", _workers, "Show the workers, or have N of them.", argument),
        _command("reload", _reload, "Start a new generation, wait for it, and tell what became of it."),
        _command("stop", _stop, "Stop the server, and wait for its end.", quick),
        _command("stacks", _stacks, "Show the Python stack of every thread and task of every worker."),
        _command("log-level", _log_level, "Change the least severe level of the error log.", level),
    ]
    return Commands(
        later={},
        name="ctl",
        commands=commands,
        help=_HELP,
        short_help="Talk to a running server: status, workers, reload, stop, stacks.",
        context_settings=SETTINGS,
        no_args_is_help=True,
    )


def _levels() -> tuple[str, ...]:
    kind = BY_NAME["log-level"].option.kind
    return kind.words if isinstance(kind, Choice) else ()


def _command(
    name: str, run: Callable[..., tuple[dict[str, Any], list[str]]], text: str, *extra: click.Parameter
) -> click.Command:
    def callback(as_json: bool, **_: object) -> int:
        context = click.get_current_context()
        control, pid_file = find(context)
        if not control and pid_file and name in ("reload", "stop"):
            result, lines = _by_signal(name, pid_file, bool(context.params.get("quick")))
        else:
            with ServerLink(control) as link:
                result, lines = run(link, context.params)
        click.echo(json.dumps(result, indent=2) if as_json else "\n".join(lines))
        return 0

    as_json = click.Option(_JSON, is_flag=True, help="Print the answer as JSON.")
    return click.Command(
        name,
        callback=callback,
        params=[*extra, as_json, *finding_options()],
        help=text,
        context_settings=SETTINGS,
    )


def _by_signal(name: str, pid_file: str, quick: bool) -> tuple[dict[str, Any], list[str]]:
    pid = signal_target(pid_file)
    number = signal.SIGHUP if name == "reload" else signal.SIGQUIT if quick else signal.SIGTERM
    try:
        os.kill(pid, number)
    except OSError as error:
        raise ServerError(f"cannot send {number.name} to process {pid}: {error.strerror}") from error
    told = f"sent {number.name} to process {pid}; with --control this would wait for what becomes of it"
    return {"pid": pid, "signal": number.name}, [told]


def _status(link: ServerLink, params: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    from portway.cli.tables import summary  # late: it needs the compiled engine

    document = link.ask("status")
    return document, summary(document)


def _workers(link: ServerLink, params: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    if params["argument"] is not None:
        result = link.ask("workers", str(params["argument"]))
        return result, [f"{result['workers']} wanted"]
    document = link.ask("status")
    result = {"workers_wanted": document["workers_wanted"], "workers": document["workers"]}
    pids = [
        f"{worker['pid']}  {worker['state']}  generation {worker['generation']}"
        for worker in document["workers"]
    ]
    return result, [f"{document['workers_wanted']} wanted", *pids]


def _reload(link: ServerLink, params: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    result = link.ask("reload")
    return result, [f"generation {result['generation']} serves"]


def _stop(link: ServerLink, params: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    link.ask("stop", "quick" if params["quick"] else "")
    link.wait_for_end()
    return {"stopped": True}, ["stopped"]


def _stacks(link: ServerLink, params: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    result = link.ask("stacks")
    lines = []
    for worker in result["workers"]:
        if worker["stacks"] is None:
            lines.append(f"worker {worker['pid']} does not answer: it is busy in native code, or stopped")
        else:
            lines += [f"worker {worker['pid']}", *("  " + line for line in worker["stacks"].splitlines())]
    return result, lines


def _log_level(link: ServerLink, params: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    result = link.ask("log-level", params["argument"])
    return result, [f"log level is {result['log_level']} now"]
