"""The settings of a `portway.Server`: what it is given, and nothing that happens to lie around."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import structs

from portway.apps import name_of
from portway.cli.server import site_of
from portway.config import ConfigFile, Loaded, load, resolve
from portway.config.declared import BY_NAME
from portway.embedding.arguments import named, spoken
from portway.errors import UsageError
from portway.server.invocation import Configuration

# What only an arbiter, or a process of its own, can do: by the group of its settings, or by its name.
_GROUPS = ("recycle", "reload", "hooks", "inspect")
_NAMES = ("workers", "preload", "pid", "user", "group", "umask", "ready-check", "chdir", "env-file")
FOREIGN = frozenset(name for name, declared in BY_NAME.items() if declared.group in _GROUPS or name in _NAMES)


def read(app: Any, config: str | os.PathLike[str] | None, arguments: Mapping[str, object]) -> Configuration:
    """Return the settings and the routes.

    Args:
        app: The application, or its name, or None.
        config: A configuration file; what of it is for a whole server only has no effect here.
        arguments: Options by their names with underscores, which go before the file's; and `routes`, tables
            as the file would have them, where there is no file.

    Raises:
        ConfigError: An option does not exist, has no meaning here or a wrong value, or the file is wrong.
    """
    given = named(arguments, ("routes",))
    for name in given:
        if name in FOREIGN:
            raise UsageError(
                f"a Server has no {name.replace('-', '_')}: it is one engine in this process",
                "portway.serve() is the whole server.",
            )
    if app is not None:
        given["app"] = app if isinstance(app, str) else name_of(app)
    loaded = _of_arguments(given) if config is None else _of_file(os.fspath(config), given)
    site, options = site_of(loaded), structs.replace(loaded.settings.app, chdir="", env_file="")
    if site is not None and site.app is None:
        from portway.site.nothing import NAME

        options = structs.replace(options, app=NAME)
    return Configuration(structs.replace(loaded.settings, app=options), site)


def _of_arguments(given: dict[str, object]) -> Loaded:
    if "stage" in given:
        raise UsageError("a stage is a part of a configuration file", "name the file with config=.")
    return spoken(lambda: load({}, {}, ConfigFile("the arguments", given, os.getcwd())), keys=True)


def _of_file(config: str, given: dict[str, object]) -> Loaded:
    if "routes" in given:
        raise UsageError("routes are given twice: as an argument, and with config", "leave one of them out.")
    return spoken(lambda: resolve(given, {}, Path.cwd(), config))
