"""`portway import`: the configuration of gunicorn or uvicorn as portway.toml."""

from __future__ import annotations

import shlex

import click

from portway.cli.command import SETTINGS
from portway.cli.session import Session
from portway.errors import UsageError

_HELP = """Print the portway.toml that does what a gunicorn configuration file, or a command line of
gunicorn or uvicorn, does.

\b
    portway import gunicorn.conf.py > portway.toml
    portway import -- gunicorn -w 4 -k uvicorn.workers.UvicornWorker app:app
    portway import -- uvicorn --host 0.0.0.0 --port 80 app:app

What has no equivalent, and what is different, is said on standard error. The application is not imported.
The configuration file is a Python program, and is run."""


def _import(words: tuple[str, ...]) -> int:
    session: Session = click.get_current_context().obj
    from portway.moving import gunicorn, uvicorn  # late: `serve` has no use for it
    from portway.moving.command_line import Command, gunicorn_options, parse_command
    from portway.moving.gunicorn_file import read_gunicorn_file

    if not words:
        raise UsageError(
            "nothing to import", "portway import gunicorn.conf.py, or: portway import -- gunicorn …"
        )
    if len(words) == 1 and words[0].endswith(".py"):
        command = Command("gunicorn", config=words[0])
    else:
        command = parse_command(words)
    if command.server == "uvicorn":
        draft = uvicorn.convert(command.options)
    else:
        settings = {}
        more = gunicorn_options(shlex.split(session.environ.get("GUNICORN_CMD_ARGS", "")))
        name = command.config or more.config or "gunicorn.conf.py"
        if name.startswith("python:"):
            raise UsageError(f"{name} is a module", "name its file: portway import path/to/module.py")
        path = session.cwd / name.removeprefix("file:")
        if command.config or more.config or path.is_file():
            found = read_gunicorn_file(path, session.cwd, dict(session.environ))
            settings = {name: value for name, value in found.items() if gunicorn.known(name)}
        draft = gunicorn.convert({**settings, **more.options, **command.options})
    click.echo(draft.toml(), nl=False)
    for note in draft.notes:
        click.echo(f"note: {note}", err=True)
    return 0


def import_command() -> click.Command:
    """Return the command."""
    return click.Command(
        "import",
        callback=_import,
        params=[click.Argument(["words"], metavar="FILE | -- COMMAND", nargs=-1, type=click.UNPROCESSED)],
        help=_HELP,
        short_help="Print the portway.toml for a gunicorn or uvicorn configuration.",
        context_settings={**SETTINGS, "ignore_unknown_options": True},
    )
