"""`portway serve`: the production server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import click
import msgspec

from portway.cli.command import SETTINGS, TopicCommand
from portway.cli.options import given, load_settings, setting_parameters
from portway.cli.preflight import preflight
from portway.cli.session import Session
from portway.config import Loaded, Settings, resolve
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
    start = session.cwd
    read = partial(_read_again, given(context), session, start, context.params["config"])
    if directory := loaded.settings.app.chdir:
        os.chdir(directory)  # the log files and Unix sockets of the options start here as well

    # Late: everything above works, and explains itself, where the compiled engine cannot be imported.
    from portway.server import serve
    from portway.server.invocation import Invocation

    return serve(loaded.settings, Invocation(read, str(start), _files(loaded, start)))


def _files(loaded: Loaded, start: Path) -> tuple[str, ...]:
    """Return the absolute names of the files that the configuration comes from."""
    names = [str(start / loaded.file.path)] if loaded.file else []
    return (*names, loaded.settings.app.env_file) if loaded.settings.app.env_file else tuple(names)


def _read_again(flags: Mapping[str, object], session: Session, start: Path, config: str | None) -> Settings:
    """Return what the same command line means now: for a reload."""
    loaded = resolve(flags, session.environ, start, config)
    preflight(loaded)
    settings = loaded.settings
    if not settings.app.chdir and Path.cwd() != start:  # the key was taken out of the file
        settings = msgspec.structs.replace(
            settings, app=msgspec.structs.replace(settings.app, chdir=str(start))
        )
    return settings


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
