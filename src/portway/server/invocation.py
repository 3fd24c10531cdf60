"""How this server was started, so that its configuration can be read again and itself be started again."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct, field

from portway.config import Settings

if TYPE_CHECKING:
    from portway.site.environment import Environment
    from portway.site.site import Site


class Configuration(Struct, frozen=True):
    """What a server is told.

    Attributes:
        settings: The options.
        site: The routes, or None without any.
        environment: What it adds to the applications' environment, secrets among it; None for nothing.
    """

    settings: Settings
    site: Site | None = None
    environment: Environment | None = None


class Invocation(Struct, frozen=True):
    """A start of the server.

    Attributes:
        read: Returns what the flags, the environment and the files say now; raises PortwayError for
            what a start would refuse.
        cwd: The directory that the command was started in, before any `--chdir`.
        files: Absolute names of the files that the configuration was read from.
        developing: The project's folder, an absolute path, for `portway dev`; "" in production.
        argv: The whole command line, the interpreter's own arguments included.
    """

    read: Callable[[], Configuration]
    cwd: str
    files: tuple[str, ...] = ()
    developing: str = ""
    argv: tuple[str, ...] = field(default_factory=lambda: tuple(sys.orig_argv))
