"""`portway check`: validate the configuration and the application, start nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from portway.cli.command import SETTINGS, TopicCommand
from portway.cli.options import load_settings, setting_parameters
from portway.cli.preflight import preflight
from portway.cli.session import Session
from portway.config import Loaded
from portway.config.worker_range import spell_workers

if TYPE_CHECKING:
    from portway.apps import Application

_HELP = """Validate the configuration and import APP, without starting anything.

Takes every option of `portway serve` and prints what they add up to. Exits 0 when `portway serve`
with the same options would start, as far as can be told without listening."""


def _check(**_: object) -> int:
    context = click.get_current_context()
    session: Session = context.obj
    loaded = load_settings(context, session)
    preflight(loaded)
    _check_identity(loaded)
    _check_certificates(loaded)
    app = loaded.settings.app
    from portway.apps import load  # late: `serve` has no use for it in this process

    application = load(
        app.app,
        factory=app.factory,
        interface=app.interface,
        chdir=app.chdir,
        env_file=app.env_file,
        function=loaded.settings.function,
    )
    for text in application.warnings:
        click.echo(f"warning: {text}", err=True)
    click.echo("\n".join(f"{name:<14}{value}" for name, value in _facts(loaded, application)))
    return 0


def _check_identity(loaded: Loaded) -> None:
    """Raise what `portway serve` would when the workers cannot become this user."""
    process = loaded.settings.process
    if process.user or process.group:
        from portway.server.privileges import identity  # late: it exists on Unix only

        identity(process.user, process.group)


def _check_certificates(loaded: Loaded) -> None:
    """Raise what `portway serve` would when a certificate cannot be used."""
    tls = loaded.settings.tls
    if tls.certfile:
        from portway.server.encryption import Encryption  # late: few need it, and it imports `ssl`
        from portway.server.logs import ErrorLog

        Encryption(tls, ErrorLog("-", "warning"))


def _facts(loaded: Loaded, application: Application) -> list[tuple[str, str]]:
    settings = loaded.settings
    threads = f", {settings.process.threads} threads each" if application.interface == "wsgi" else ""
    return [
        ("configuration", loaded.file.path if loaded.file else "no file"),
        ("application", application.name),
        ("interface", application.label),
        ("listening on", ", ".join(settings.listen.bind)),
        ("workers", f"{spell_workers(settings.process.workers)}{threads}"),
    ]


def check_command() -> click.Command:
    """Return the command."""
    return TopicCommand(
        "check",
        callback=_check,
        params=setting_parameters(),
        help=_HELP,
        short_help="Validate configuration and application without starting anything.",
        context_settings=SETTINGS,
    )
