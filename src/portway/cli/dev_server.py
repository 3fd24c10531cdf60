"""`portway dev` without --as: the ordinary server, set up for whoever writes the application.

What the configuration says about a production machine is left aside: where to listen, how many workers, as
whom, with which certificates, behind which proxies, where the logs go. What it says about the application
holds.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from portway.cli.preflight import preflight
from portway.cli.server import configuration_of, files_of, warn_of
from portway.cli.session import Session
from portway.config import Loaded, Settings, resolve
from portway.config.declared import DECLARED
from portway.config.files import OWN_NAME
from portway.config.origin import Origin
from portway.config.worker_range import WorkerRange
from portway.errors import BindError
from portway.site.project.discovery import Choice, choose

if TYPE_CHECKING:
    from portway.server.invocation import Configuration
    from portway.site.site import Site

DEV_SETTINGS = (
    *(
        "app",
        "stage",
        "interface",
        "factory",
        "root-path",
        "chdir",
        "env-file",
        "bind",
        "threads",
        "loop",
        "lifespan",
    ),
    *("reload-dir", "reload-include", "reload-exclude", "access-log", "log-level"),
)
"""The declared options that it takes as flags."""

STAGE = "local"
"""The stage that counts where the file has it and nothing else is asked for."""

PORT = 8000
MOST_PORTS = 20
TEMPLATES = ("*.html", "*.jinja", "*.jinja2", "*.j2", "*.mako", "*.pt")
"""Files that applications keep in memory once they are read; watched like source."""

_MACHINE_GROUPS = ("listen", "proxies", "tls", "recycle", "inspect", "log")
_MACHINE_OPTIONS = ("workers", "preload", "pid", "user", "group", "umask")
_OWN_PATHS = "/_portway/dev/*"
_PLAIN = "%(method)s %(target)s %(status)s %(duration_ms)s ms"
_COLOURED = (
    "\x1b[2m%(method)s\x1b[0m %(target)s %(status_colour)s%(status)s\x1b[0m \x1b[2m%(duration_ms)s ms\x1b[0m"
)
_SWITCHES = ("FLASK_DEBUG", "QUART_DEBUG", "LITESTAR_DEBUG")
"""Variables that make frameworks show an exception, or let it through to be shown; set unless they are."""


def run_dev(flags: Mapping[str, object], config: str | None, session: Session) -> int:
    """Serve until a signal ends it, and return the exit code.

    Args:
        flags: The options given on the command line, by name.
        config: What `--config` names.
        session: The surroundings.

    Raises:
        PortwayError: The configuration is wrong, no application is found, or the server cannot start.
    """
    project = _Project(flags, config, session)
    loaded = project.read()
    session.require_unix()
    for name in _SWITCHES:
        os.environ.setdefault(name, "1")

    from portway.server import serve
    from portway.server.invocation import Invocation

    if project.choice is not None:
        _say(project.choice)
    if directory := loaded.settings.app.chdir:
        os.chdir(directory)
    now = project.configuration(loaded)
    warn_of(now)
    files = (*files_of(loaded), str(project.folder / OWN_NAME))  # it may be written while this runs
    invocation = Invocation(
        partial(_again, project), str(project.start), files, developing=str(project.folder)
    )
    return serve(now, invocation)


def _again(project: _Project) -> Configuration:
    return project.configuration(project.read())


class _Project:
    """A command line, and what was found out because it does not say it.

    Attributes:
        start: The directory the command was started in.
        folder: The project's.
        choice: The application that was found, None when one is named.
    """

    def __init__(self, flags: Mapping[str, object], config: str | None, session: Session) -> None:
        self._flags = flags
        self._config = config
        self._session = session
        self.start = session.cwd
        self.folder = self.start
        self.choice: Choice | None = None
        self._bind: tuple[str, ...] = ()

    def read(self) -> Loaded:
        """Return what the files say now, with what is the project's own put in the place of a machine's."""
        loaded = resolve(self._flags, self._session.environ, self.start, self._config, STAGE)
        settings = loaded.settings
        self.folder = Path(settings.app.chdir) if settings.app.chdir else self.start
        if not settings.app.app and not loaded.has_routes:
            settings = _with_app(settings, self._found())
        self._bind = self._bind or _addresses(loaded, self._session.environ)
        loaded = msgspec.structs.replace(loaded, settings=settings)
        loaded = msgspec.structs.replace(loaded, settings=_local(loaded, self._bind))
        preflight(loaded)
        return loaded

    def configuration(self, loaded: Loaded) -> Configuration:
        """Return what the server is told."""
        now = configuration_of(loaded, self._session)
        settings = now.settings
        if not settings.app.chdir and Path.cwd() != self.start:  # the key was taken out of the file
            app = msgspec.structs.replace(settings.app, chdir=str(self.start))
            settings = msgspec.structs.replace(settings, app=app)
        site = _uncached(now.site) if now.site is not None else None
        return msgspec.structs.replace(now, settings=settings, site=site)

    def _found(self) -> str:
        """Return the application of the folder: the one that was found first, while its file is there."""
        if self.choice is None or not (self.folder / self.choice.chosen.file).exists():
            self.choice = choose(self.folder)
        return self.choice.chosen.target


def _uncached(site: Site) -> Site:
    """Return a site whose files a browser asks for each time."""
    from portway.site.site import CacheRule, Route, StaticTarget

    def route(one: Route) -> Route:
        if not isinstance(one.target, StaticTarget):
            return one
        return Route(one.pattern, msgspec.structs.replace(one.target, cache=(CacheRule("/*", "no-cache"),)))

    return msgspec.structs.replace(site, routes=tuple(map(route, site.routes)))


def _with_app(settings: Settings, target: str) -> Settings:
    return msgspec.structs.replace(settings, app=msgspec.structs.replace(settings.app, app=target))


def _local(loaded: Loaded, bind: tuple[str, ...]) -> Settings:
    """Return the settings without what is about a production machine."""
    settings = loaded.settings
    here = {
        "bind": bind,
        "workers": WorkerRange(1, 1),
        "access-log": "-",
        "access-log-format": _COLOURED if _has_colour() else _PLAIN,
    }
    changed: dict[str, dict[str, object]] = {}
    for declared in DECLARED:
        name = declared.option.name
        if declared.group in _MACHINE_GROUPS or name in _MACHINE_OPTIONS:
            value = here.get(name, declared.default)
            if name != "bind" and _is_asked_for(loaded.origins[name]):
                continue
            changed.setdefault(declared.group, {})[declared.field] = value
    changed["log"]["access_exclude"] = (*settings.log.access_exclude, _OWN_PATHS)
    changed["reload"] = {"on_change": True, "include": (*settings.reload.include, *TEMPLATES)}
    groups = {
        group: msgspec.structs.replace(getattr(settings, group), **fields)
        for group, fields in changed.items()
    }
    return msgspec.structs.replace(settings, **groups)


def _is_asked_for(origin: Origin) -> bool:
    """Whether a value is meant for development: a flag, or a key of the stage."""
    return origin.source == "flag" or (origin.source == "file" and origin.name.startswith(f"stages.{STAGE}."))


def _has_colour() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _addresses(loaded: Loaded, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return where to listen: what a flag says, else a port of the loopback, and nothing else.

    Raises:
        BindError: No port is free.
    """
    origin, bind = loaded.origins["bind"], loaded.settings.listen.bind
    if _is_asked_for(origin):
        return bind
    if origin.name == "PORT":
        return (f"127.0.0.1:{bind[0].rpartition(':')[2]}",)
    for port in _free_ports():
        if port != PORT:
            print(f"portway dev: port {PORT} is in use, so this is {port}", file=sys.stderr)
        return (f"127.0.0.1:{port}",)
    last = PORT + MOST_PORTS - 1
    raise BindError(
        f"127.0.0.1:{PORT}", f"ports {PORT} to {last} are all in use", "name another with --bind."
    )


def _free_ports() -> Iterator[int]:
    for port in range(PORT, PORT + MOST_PORTS):
        with closing(socket.socket()) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port


def _say(choice: Choice) -> None:
    """Tell which application was chosen, and what else there is."""
    print(f"portway dev: {choice.chosen.target} ({choice.chosen.what})", file=sys.stderr)
    others = choice.others[:3]
    for other in others:
        print(f"    there is {other.target} as well ({other.what})", file=sys.stderr)
    if others:
        print(
            f"    `portway dev {others[0].target}`, or app = in portway.toml, chooses another",
            file=sys.stderr,
        )
