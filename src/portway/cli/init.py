"""`portway init`: the first portway.toml of a project."""

from __future__ import annotations

import os
from pathlib import Path

import click

from portway.cli.command import SETTINGS
from portway.cli.session import Session
from portway.config.files import OWN_NAME, PROJECT_NAME, discover
from portway.errors import StartupFailed, UsageError, plain
from portway.site.project.discovery import Choice, candidates, choose
from portway.site.project.first_file import first_file

_HELP = """Write a portway.toml with comments for the project in this folder.

The application and its folders of static files are found by reading the source: Flask, FastAPI, Django,
Starlette, Bottle, Falcon, Litestar, Quart, Pyramid, Chalice, a Lambda handler, or plain WSGI and ASGI.
Of Django the settings are asked for, in a process of their own. APP names the application where several are
found. A file that is there stays, unless --force says otherwise."""


def init_command() -> click.Command:
    """Return the command."""
    return click.Command(
        "init",
        callback=_init,
        params=[
            click.Argument(["app"], metavar="[APP]", required=False),
            click.Option(["--print", "shown"], is_flag=True, help="Print it instead of writing it."),
            click.Option(["--force"], is_flag=True, help="Write over a portway.toml that is there."),
            click.Option(["--chdir"], metavar="DIRECTORY", default="", help="The project's folder."),
        ],
        help=_HELP,
        short_help="Write a portway.toml for the project in this folder.",
        context_settings=SETTINGS,
    )


def _init(app: str | None, shown: bool, force: bool, chdir: str) -> int:
    session: Session = click.get_current_context().obj
    folder = Path(os.path.abspath(session.cwd / chdir))
    if not folder.is_dir():
        raise UsageError(f"there is no directory {plain(chdir)}", "--chdir names the project's folder.")
    choice = _named(app, folder) if app else choose(folder)
    text = first_file(folder, choice)
    if shown:
        click.echo(text, nl=False)
        return 0
    _write(folder, text, force)
    click.echo(f"wrote {OWN_NAME} for {choice.chosen.target} ({choice.chosen.what})", err=True)
    for other in choice.others[:3]:
        click.echo(f"    there is {other.target} as well ({other.what})", err=True)
    click.echo("next: `portway dev` serves it, `portway check` validates it", err=True)
    return 0


def _named(app: str, folder: Path) -> Choice:
    """Return the candidate that APP names.

    Raises:
        UsageError: There is none of that name.
    """
    found = candidates(folder)
    for candidate in found:
        if app in (candidate.target, candidate.target.removesuffix("()"), candidate.target.partition(":")[0]):
            return Choice(candidate, ())
    known = ", ".join(one.target for one in found[:4])
    hint = f"there is {known}." if known else "run it in the project's folder."
    raise UsageError(f"no application {app!r} was found in {plain(str(folder))}", hint)


def _write(folder: Path, text: str, force: bool) -> None:
    """Write the file, whole or not at all.

    Raises:
        UsageError: One is there already.
        StartupFailed: It cannot be written.
    """
    path = folder / OWN_NAME
    if not force:
        if path.exists() or path.is_symlink():
            raise UsageError(f"{OWN_NAME} exists", "--force writes over it, --print shows what it would be.")
        if discover(folder) is not None:
            raise UsageError(
                f"[tool.portway] in {PROJECT_NAME} configures Portway already",
                "--print shows what a file would be.",
            )
    temporary = folder / f".{OWN_NAME}.{os.getpid()}"
    try:
        temporary.write_text(text, "utf-8")
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        problem = (error.strerror or str(error)).lower()
        raise StartupFailed(f"cannot write {plain(str(path))}: {problem}") from None
