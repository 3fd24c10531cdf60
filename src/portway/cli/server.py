"""What `portway serve` does once its arguments are read."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from portway.cli.preflight import preflight
from portway.cli.session import Session
from portway.config import Loaded, Settings, resolve

if TYPE_CHECKING:
    from portway.server.invocation import Configuration, Invocation
    from portway.site.environment import Environment
    from portway.site.site import Site


def run_server(flags: Mapping[str, object], config: str | None, session: Session) -> int:
    """Serve until a signal ends it, and return the exit code. Returns in every worker, too.

    Args:
        flags: The options given on the command line, by name; see `portway.config.load`.
        config: What `--config` names.
        session: The surroundings.

    Raises:
        PortwayError: The configuration is wrong, or the server cannot start.
    """
    told, invocation = prepare(flags, config, session)

    # Late: everything above works, and explains itself, where the compiled engine cannot be imported.
    from portway.server import serve

    return serve(told, invocation)


def prepare(
    flags: Mapping[str, object], config: str | None, session: Session
) -> tuple[Configuration, Invocation]:
    """Read and check the configuration, and change to the directory that it names.

    Args:
        flags: See `run_server`.
        config: See `run_server`.
        session: See `run_server`.

    Returns:
        What to serve with, and how to do the same again.

    Raises:
        PortwayError: The configuration is wrong.
    """
    loaded = resolve(flags, session.environ, session.cwd, config)
    preflight(loaded)
    session.require_unix()
    start = session.cwd
    read = partial(_read_again, flags, session, start, config)
    if directory := loaded.settings.app.chdir:
        os.chdir(directory)  # the log files and Unix sockets of the options start here as well
    from portway.server.invocation import Invocation

    told = configuration_of(loaded, session)
    warn_of(told)
    return told, Invocation(read, str(start), files_of(loaded))


def site_of(loaded: Loaded) -> Site | None:
    """Return the routes of a configuration, or None when it has none; then nothing is imported.

    Raises:
        ConfigError: Something is wrong with them.
    """
    if not loaded.has_routes:
        return None
    from portway.site.reading import read_site
    from portway.site.review import check_folders

    site = read_site(loaded)
    check_folders(site, loaded.file.path if loaded.file else "")
    return site


def environment_in(loaded: Loaded, session: Session) -> Environment | None:
    """Return what a configuration adds to the environment, or None for nothing.

    Raises:
        PortwayError: A secret cannot be had.
    """
    if not loaded.variables and not loaded.settings.app.stage:
        return None
    from portway.site.environment import environment_of

    return environment_of(loaded, session.environ)


def files_of(loaded: Loaded) -> tuple[str, ...]:
    """Return the absolute names of the files that the configuration comes from."""
    file, env_file = loaded.file, loaded.settings.app.env_file
    names = [env_file] if env_file else []
    if file:
        parts = [
            os.path.basename(file.path),
            *dict.fromkeys(one.file for one in loaded.variables if one.file),
        ]
        names = [os.path.join(file.directory, part) for part in parts] + names
    return tuple(names)


def configuration_of(loaded: Loaded, session: Session) -> Configuration:
    """Return what the server is told."""
    from portway.server.invocation import Configuration

    site = site_of(loaded)
    return Configuration(settings_of(loaded, site), site, environment_in(loaded, session))


def warn_of(configuration: Configuration) -> None:
    """Print what is most likely a mistake in the routes."""
    if configuration.site is None:
        return
    from portway.site.review import review

    for remark in review(configuration.site, configuration.settings.listen.bind):
        if remark.level == "warning":
            print(f"warning: {remark.text}", file=sys.stderr, flush=True)


def settings_of(loaded: Loaded, site: Site | None) -> Settings:
    """Return the options; a site without an application has one that says 404."""
    settings = loaded.settings
    if site is None or site.app is not None:
        return settings
    from portway.site.nothing import NAME

    return msgspec.structs.replace(settings, app=msgspec.structs.replace(settings.app, app=NAME))


def _read_again(
    flags: Mapping[str, object], session: Session, start: Path, config: str | None
) -> Configuration:
    """Return what the same command line means now: for a reload."""
    loaded = resolve(flags, session.environ, start, config)
    preflight(loaded)
    configuration = configuration_of(loaded, session)
    settings = configuration.settings
    if not settings.app.chdir and Path.cwd() != start:  # the key was taken out of the file
        settings = msgspec.structs.replace(
            settings, app=msgspec.structs.replace(settings.app, chdir=str(start))
        )
    return msgspec.structs.replace(configuration, settings=settings)
