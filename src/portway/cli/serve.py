"""`portway serve`: the production server."""

from __future__ import annotations

import click

from portway.cli.command import SETTINGS, TopicCommand
from portway.cli.options import given, load_settings, setting_parameters
from portway.cli.server import run_server
from portway.cli.session import Session
from portway.config import Loaded
from portway.config.show import show

_HELP = """Serve APP, a WSGI or ASGI application, until a signal ends it.

Every option can also be an environment variable (PORTWAY_WORKERS=4) or a key of portway.toml or of
[tool.portway] in pyproject.toml (workers = 4). A flag goes before the environment, the environment
before the file."""


def _serve(print_config: bool, **_: object) -> int:
    context = click.get_current_context()
    session: Session = context.obj
    if print_config:
        loaded = load_settings(context, session)
        click.echo(show(loaded) + _tables(loaded), nl=False)
        return 0
    return run_server(given(context), context.params["config"], session)


def _tables(loaded: Loaded) -> str:
    """Return what the configuration says of the site, as TOML."""
    if not loaded.has_routes and not loaded.variables and not loaded.settings.app.stage:
        return ""
    from portway.site.show import show_tables

    return show_tables(loaded)


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
