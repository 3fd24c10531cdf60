"""From APP to a callable that the engine can drive."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from portway.apps.asgi2 import SingleCallable
from portway.apps.detect import Detected, detect
from portway.apps.find import describe, find, make
from portway.apps.importing import import_target
from portway.apps.target import Target, parse_target
from portway.config.settings import Function
from portway.errors import AppNotFound, NotAnApplication, shown

_LABELS = {"wsgi": "WSGI", "asgi": "ASGI 3", "asgi2": "ASGI 2", "lambda": "Lambda"}


class Application(Struct, frozen=True):
    """An application that has been imported.

    Attributes:
        app: The callable that the engine drives: WSGI's, or ASGI 3's single one.
        interface: Which of the two it is.
        label: What was found, for people: "WSGI", "ASGI 3", "ASGI 2", "Chalice (REST API)".
        name: Where it was found: "site:app", "site:create_app()".
        wants_fields: Whether it is to be told the field lines as they were sent (`portway.fields`).
        warnings: What of it does not work here as it would elsewhere; a sentence each.
    """

    app: Callable[..., Any]
    interface: Literal["wsgi", "asgi"]
    label: str
    name: str
    wants_fields: bool = False
    warnings: tuple[str, ...] = ()


def load(
    target: str,
    *,
    factory: bool = False,
    interface: str = "auto",
    chdir: str = "",
    env_file: str = "",
    function: Function | None = None,
) -> Application:
    """Import an application and tell what it speaks.

    Changes the process: working directory, `sys.path`, and the environment when there is an
    environment file (what the environment has already stays).

    Args:
        target: APP: module:attr, module:factory() or path/to/file.py[:attr].
        factory: Whether APP is a function to call for the application.
        interface: "auto", or "wsgi", "asgi", "asgi2", "lambda" to overrule what is found.
        chdir: Directory to change to first; "" stays.
        env_file: Environment file, relative to that directory; "" for none.
        function: How a Lambda handler is served; None is every default.

    Raises:
        AppNotFound: No such directory, module, attribute or file.
        AppImportError: The application's code raised.
        NotAnApplication: What was found is not WSGI, ASGI or a Lambda handler, or not clearly one of them.
        ConfigFileError: The environment file cannot be read.
    """
    parsed = prepare(target, chdir, env_file)
    module = import_target(parsed, Path.cwd())
    found, name = find(module, parsed, factory)
    return _application(parsed, found, name, interface, function or Function())


def prepare(target: str, chdir: str = "", env_file: str = "") -> Target:
    """Change the process as `load` does before it imports; return what APP names.

    Raises:
        AppNotFound: No such directory, or APP has none of the forms.
        ConfigFileError: The environment file cannot be read.
    """
    parsed = parse_target(target)
    if chdir:
        _change_directory(target, chdir)
    _set_environment(env_file)
    return parsed


def adopt(
    found: Any,
    *,
    factory: bool = False,
    interface: str = "auto",
    env_file: str = "",
    function: Function | None = None,
) -> Application:
    """Take an application that the program has already, or make it with a factory that it has.

    Args:
        found: The application, or a function that returns it.
        factory: Whether to call it even when it takes arguments.
        interface: As for `load`.
        env_file: Environment file, read before a factory is called; "" for none.
        function: How a Lambda handler is served; None is every default.

    Raises:
        AppImportError: The factory raised.
        NotAnApplication: It is not WSGI, ASGI or a Lambda handler, or not clearly one of them.
        ConfigFileError: The environment file cannot be read.
    """
    name = name_of(found)
    module, _, attribute = name.partition(":")
    target = Target(name, module, "", tuple(attribute.split(".")), None)
    _set_environment(env_file)
    if factory or (interface == "auto" and detect(found) == "factory"):
        found, name = make(found, target), f"{name}()"
    return _application(target, found, name, interface, function or Function())


def name_of(found: Any) -> str:
    """Return what messages call an object of the program: "module:function", or "module:Class"."""
    named = found if inspect.isroutine(found) or inspect.isclass(found) else type(found)
    module = getattr(named, "__module__", None) or "builtins"
    # of something inside a function as much as a name can say
    words = re.findall(r"[^\W\d]\w*", getattr(named, "__qualname__", "").replace("<locals>", ""))
    return f"{module}:{'.'.join(words) or 'app'}"


def _set_environment(env_file: str) -> None:
    if env_file:
        from portway.config.env_file import read_env_file  # late: most servers have none

        for name, value in read_env_file(env_file).items():
            os.environ.setdefault(name, value)


def _change_directory(target: str, directory: str) -> None:
    try:
        os.chdir(directory)
    except OSError as error:
        text = f"cannot change to {shown(directory)}: {(error.strerror or str(error)).lower()}"
        raise AppNotFound(target, text, "--chdir names it.") from None


def _application(target: Target, found: Any, name: str, interface: str, function: Function) -> Application:
    kind: str = detect(found) if interface == "auto" else interface
    if not callable(found):
        kind = "none"
    if kind not in _LABELS:
        raise _not_an_application(target, found, name, detect(found))
    if kind == "lambda":
        from portway.apps.handlers import as_wsgi  # late: it brings the front doors

        handler, label, warnings = as_wsgi(found, target.text, name, function)
        return Application(handler, "wsgi", label, name, wants_fields=True, warnings=warnings)
    app = SingleCallable(found) if kind == "asgi2" else found
    return Application(app, "wsgi" if kind == "wsgi" else "asgi", _LABELS[kind], name)


def _not_an_application(target: Target, found: Any, name: str, kind: Detected) -> NotAnApplication:
    if kind == "ambiguous":
        text = f"cannot tell whether {shown(name)} is WSGI or ASGI: its parameters do not say"
        return NotAnApplication(target.text, text, "say it with --interface wsgi, asgi or lambda.")
    hint = (
        "WSGI takes (environ, start_response), ASGI takes async (scope, receive, send), "
        "a Lambda handler takes (event, context)."
    )
    if kind == "factory":
        text = f"{shown(name)} made something that takes no arguments: {describe(found)}"
    else:
        text = f"{shown(name)} is {describe(found)}, neither a WSGI nor an ASGI application"
    return NotAnApplication(target.text, text, hint)
