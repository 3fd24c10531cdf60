"""`portway serve`: the production server."""

from __future__ import annotations

import os

import click

from portway.cli.command import SETTINGS, TopicCommand
from portway.cli.options import load_settings, setting_parameters
from portway.cli.preflight import preflight
from portway.cli.session import Session
from portway.config.show import show

_HELP = """Serve APP, a WSGI or ASGI application, until a signal ends it.

Every option can also be an environment variable (PORTWAY_WORKERS=4) or a key of portway.toml or of
[tool.portway] in pyproject.toml (workers = 4). A flag goes before the environment, the environment
before the file."""


def _serve(print_config: bool, **_: object) -> int:
    context = click.get_current_context()
    session: Session = context.obj
    loaded = load_settings(context, session)
    if print_config:
        click.echo(show(loaded), nl=False)
        return 0
    preflight(loaded)
    session.require_unix()
    if directory := loaded.settings.app.chdir:
        os.chdir(directory)  # the log files and Unix sockets of the options start here as well

    # Late: everything above works, and explains itself, where the compiled engine cannot be imported.
    from portway.server import serve

    return serve(loaded.settings)


def serve_command() -> click.Command:
    """Return the command."""
    print_config = click.Option(
        ["--print-config", "print_config"],
        is_flag=True,
        help="Print every option with its value and origin as TOML, and stop.",
    )
    return TopicCommand(
        "serve",
        callback=_serve,
        params=[*setting_parameters(), print_config],
        help=_HELP,
        short_help="Serve a WSGI or ASGI application in production.",
        context_settings=SETTINGS,
    )
