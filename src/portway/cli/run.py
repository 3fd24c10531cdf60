"""The entry point: parses, runs a command, and turns every outcome into output and an exit code.

    0  done
    1  the user's input: a PortwayError, or a command line that does not parse
    2  unexpected: a defect, shown with its traceback
    3  start-up failed

An interrupted command (not a server: that one stops in order) ends with 130, as shells expect.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

import portway
from portway.cli.check import check_command
from portway.cli.command import SETTINGS, Commands
from portway.cli.options import spellings
from portway.cli.serve import serve_command
from portway.cli.session import Session
from portway.errors import EXIT_UNEXPECTED, PortwayError, UnknownOption, UsageError, plain, shown

EXIT_INTERRUPTED = 130

_HELP = "One Python web application, WSGI or ASGI, served unchanged."


def main(arguments: Sequence[str] | None = None, session: Session | None = None) -> int:
    """Run a command line.

    Args:
        arguments: What stands after the program's name; the process's own by default.
        session: The surroundings; the process's own by default.

    Returns:
        The exit code. Only a worker of the server, or Python itself, exits from inside.
    """
    try:
        return _run(sys.argv[1:] if arguments is None else list(arguments), session or Session())
    except PortwayError as error:
        _complain(error.render())
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    except Exception as error:
        _complain(_unexpected(error))
        return EXIT_UNEXPECTED


def program() -> Commands:
    """Return the whole command line, for `main` and for whoever documents it."""
    group = Commands(
        name="portway",
        commands=[serve_command(), check_command()],
        later={
            "dev": "portway.cli.dev:dev_command",
            "emulate": "portway.cli.emulate:emulate_command",
            "export": "portway.cli.exporting:export_command",
            "import": "portway.cli.importing:import_command",
            "invoke": "portway.cli.invoke:invoke_command",
        },
        help=_HELP,
        context_settings=SETTINGS,
        no_args_is_help=False,
    )
    return click.version_option(portway.__version__, prog_name="portway", message="%(prog)s %(version)s")(
        group
    )


def _run(arguments: list[str], session: Session) -> int:
    group = program()
    try:
        outcome = group.main(arguments or ["--help"], "portway", standalone_mode=False, obj=session)
    except click.NoSuchOption as error:
        raise _unknown_option(error, group) from None
    except click.ClickException as error:
        command = arguments[0] if arguments[:1] and arguments[0] in group.commands else ""
        raise _usage_error(error, f"portway {command}".rstrip()) from None
    return outcome if isinstance(outcome, int) else 0


def _unknown_option(error: click.NoSuchOption, group: click.Command) -> UnknownOption:
    command = error.ctx.command if error.ctx else group
    known = [*spellings(command.params), "--help"]
    where = error.ctx.command_path if error.ctx else "portway"
    return UnknownOption(
        error.option_name, kind="option", known=known, otherwise=f"`{where} --help` lists them all."
    )


def _usage_error(error: click.ClickException, where: str) -> UsageError:
    text = error.format_message().rstrip(".")
    return UsageError(plain(text[:1].lower() + text[1:]), f"`{where} --help` shows how it is written.")


def _unexpected(error: Exception) -> str:
    import traceback

    report = "".join(traceback.format_exception(error))
    kind = type(error).__name__
    return (
        f"{report}\nerror: unexpected {kind}: {shown(str(error))}\n\n"
        f"hint: this is a defect in Portway {portway.__version__}; please report it with the traceback above."
    )


def _complain(text: str) -> None:
    try:
        click.echo(text, err=True)
    except OSError:
        pass  # nobody reads: the exit code has to do
