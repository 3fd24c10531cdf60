"""`portway check`: validate the configuration and the application, start nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from portway.cli.command import SETTINGS, TopicCommand
from portway.cli.options import given, load_settings, setting_parameters
from portway.cli.preflight import preflight
from portway.cli.server import environment_in, settings_of, site_of
from portway.cli.session import Session
from portway.config import Loaded, Settings, resolve
from portway.config.worker_range import spell_workers
from portway.errors import PortwayError

if TYPE_CHECKING:
    from portway.apps import Application
    from portway.site.site import Site

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
    _check_other_stages(context, session, loaded)
    site = site_of(loaded)
    if site is not None:
        _remark(site, loaded)
    facts = [("configuration", loaded.file.path if loaded.file else "no file")]
    if loaded.settings.app.stage:
        facts.append(("stage", loaded.settings.app.stage))
    described = _site_facts(loaded, site)
    try:
        environment = environment_in(loaded, session)  # applications may need it to be imported
        if environment is not None:
            environment.enter(os.environ)
        application = _application(loaded, site)
    except PortwayError:
        if described:  # shown even where a secret or an application cannot be had
            _print([*facts, *described])
        raise
    _print([*facts, *_server_facts(loaded.settings, application), *described])
    return 0


def _print(facts: list[tuple[str, str]]) -> None:
    click.echo("\n".join(f"{name:<14}{value}" for name, value in facts))


def _application(loaded: Loaded, site: Site | None) -> Application:
    """Import the application, and those of routes with it."""
    app, function = settings_of(loaded, site).app, loaded.settings.function
    if site is not None and site.has_mounts:
        from portway.site.mounts import load_site

        application: Application = load_site(site, app, function, lambda line: None)
    else:
        from portway.apps import load  # late: `serve` has no use for it in this process

        application = load(
            app.app,
            factory=app.factory,
            interface=app.interface,
            chdir=app.chdir,
            env_file=app.env_file,
            function=function,
        )
    for text in application.warnings:
        click.echo(f"warning: {text}", err=True)
    return application


def _server_facts(settings: Settings, application: Application) -> list[tuple[str, str]]:
    threads = f", {settings.process.threads} threads each" if application.interface == "wsgi" else ""
    return [
        ("application", application.name if settings.app.app else "none"),
        ("interface", application.label),
        ("listening on", ", ".join(settings.listen.bind)),
        ("workers", f"{spell_workers(settings.process.workers)}{threads}"),
    ]


def _site_facts(loaded: Loaded, site: Site | None) -> list[tuple[str, str]]:
    """Return the routes and the variables, these as they are written."""
    facts = []
    if site is not None:
        from portway.cli.routes import rule_lines

        facts += [("route" if place == 0 else "", line) for place, line in enumerate(rule_lines(site))]
    if loaded.variables:
        from portway.site.environment import names_of

        pairs = [f"{name} = {text}" for name, text in names_of(loaded.variables)]
        facts += [("environment" if place == 0 else "", line) for place, line in enumerate(pairs)]
    return facts


def _remark(site: Site, loaded: Loaded) -> None:
    from portway.site.review import review

    for remark in review(site, loaded.settings.listen.bind):
        click.echo(f"{remark.level}: {remark.text}", err=True)


def _check_other_stages(context: click.Context, session: Session, loaded: Loaded) -> None:
    """Raise what is wrong with any stage, where none is asked for: all but its folders and secrets."""
    if loaded.file is None or loaded.settings.app.stage or "stages" not in loaded.file.table:
        return
    from portway.config.stages import stages_of
    from portway.site.reading import read_site

    for name in stages_of(loaded.file.table, loaded.file.path):
        flags = {**given(context), "stage": name}
        stage = resolve(flags, session.environ, session.cwd, context.params["config"])
        if stage.has_routes:
            read_site(stage)


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
