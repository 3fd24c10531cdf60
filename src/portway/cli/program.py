"""The whole command line, made with click: every command, its help, and what is wrong with its arguments."""

from __future__ import annotations

import gc

import click

import portway
from portway.cli.check import check_command
from portway.cli.command import SETTINGS, Commands
from portway.cli.options import spellings
from portway.cli.serve import serve_command
from portway.cli.session import Session
from portway.errors import UnknownOption, UsageError, plain

_HELP = "One Python web application, WSGI or ASGI, served unchanged."


def program() -> Commands:
    """Return the whole command line, for `main` and for whoever documents it."""
    group = Commands(
        name="portway",
        commands=[serve_command(), check_command()],
        later={
            "compress": "portway.cli.compress:compress_command",
            "ctl": "portway.cli.ctl:ctl_command",
            "dev": "portway.cli.dev:dev_command",
            "emulate": "portway.cli.emulate:emulate_command",
            "export": "portway.cli.exporting:export_command",
            "import": "portway.cli.importing:import_command",
            "init": "portway.cli.init:init_command",
            "invoke": "portway.cli.invoke:invoke_command",
            "routes": "portway.cli.routes:routes_command",
            "top": "portway.cli.top:top_command",
        },
        help=_HELP,
        context_settings=SETTINGS,
        no_args_is_help=False,
    )
    return click.version_option(portway.__version__, prog_name="portway", message="%(prog)s %(version)s")(
        group
    )


def run_program(arguments: list[str], session: Session) -> int:
    """Run a command line with click, and return its exit code.

    Raises:
        PortwayError: What the command raises, and a command line that does not parse.
        KeyboardInterrupt: The command was interrupted.
    """
    gc.enable()
    group = program()
    try:
        outcome = group.main(arguments or ["--help"], "portway", standalone_mode=False, obj=session)
    except click.NoSuchOption as error:
        raise _unknown_option(error, group) from None
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.exceptions.NoArgsIsHelpError:
        place = _place(group, arguments)
        raise UsageError("a command is missing", f"`{place} --help` lists them all.") from None
    except click.ClickException as error:
        raise _usage_error(error, _place(group, arguments)) from None
    return outcome if isinstance(outcome, int) else 0


def _unknown_option(error: click.NoSuchOption, group: click.Command) -> UnknownOption:
    command = error.ctx.command if error.ctx else group
    place = error.ctx.command_path if error.ctx else "portway"
    if isinstance(command, click.Group) and any(
        error.option_name in spellings(inner.params) for inner in command.commands.values()
    ):
        return UnknownOption(
            error.option_name,
            kind="option",
            known=(),
            otherwise=f"it comes after the command: `{place} COMMAND {error.option_name}`.",
        )
    return UnknownOption(
        error.option_name,
        kind="option",
        known=[*spellings(command.params), "--help"],
        otherwise=f"`{place} --help` lists them all.",
    )


def _usage_error(error: click.ClickException, place: str) -> UsageError:
    text = " ".join(error.format_message().split()).rstrip(".")
    return UsageError(plain(text[:1].lower() + text[1:]), f"`{place} --help` shows how it is written.")


def _place(group: click.Group, arguments: list[str]) -> str:
    """Return the command of a command line, as it is typed: not every error of click knows."""
    place, command = "portway", group
    for word in arguments:
        found = command.commands.get(word)
        if found is None:
            break
        place += f" {word}"
        if not isinstance(found, click.Group):
            break
        command = found
    return place
