"""`portway export`: files for what stands around the server."""

from __future__ import annotations

import sys

import click

from portway.cli.command import SETTINGS, TopicCommand
from portway.cli.options import load_settings, setting_parameters
from portway.cli.preflight import preflight
from portway.cli.session import Session

KINDS = ("systemd", "docker", "nginx")

_HELP = """Print a file that goes with this configuration: a systemd service with its socket, a Dockerfile,
or a site of nginx in front.

Takes every option of `portway serve`, and reads the same files:

\b
    portway export systemd app:app > portway.units
    portway export nginx app:app --bind unix:/run/portway.sock --forwarded-allow-ips unix

What must be looked at is said on standard error."""


def _export(kind: str, **_: object) -> int:
    context = click.get_current_context()
    session: Session = context.obj
    loaded = load_settings(context, session)
    preflight(loaded)
    from portway.moving import exports, systemd  # late: `serve` has no use for it

    command = f"{sys.prefix}/bin/portway"
    place = exports.Place(command, str(session.cwd), f"{sys.version_info[0]}.{sys.version_info[1]}")
    kinds = {"systemd": systemd.units, "docker": exports.docker, "nginx": exports.nginx}
    text, notes = kinds[kind](loaded, place)
    click.echo(text, nl=False)
    for note in notes:
        click.echo(f"note: {note}", err=True)
    return 0


def export_command() -> click.Command:
    """Return the command."""
    kind = click.Argument(["kind"], type=click.Choice(KINDS))
    return TopicCommand(
        "export",
        callback=_export,
        params=[kind, *setting_parameters()],
        help=_HELP,
        short_help="Print a systemd unit, a Dockerfile or an nginx site from the configuration.",
        context_settings=SETTINGS,
    )
