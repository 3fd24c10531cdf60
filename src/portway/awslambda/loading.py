"""From "module:attr" to the application, and which of the two interfaces it has.

`portway.apps` does the same for the server with more forms and better hints; it needs packages that a
function should not have to carry.
"""

from __future__ import annotations

import importlib

from .errors import AppFailed, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MAX_LAYERS = 8  # of partials and callables inside callables; a cycle ends here
_NAMES = ("app", "application", "handler", "lambda_handler")
_COROUTINE = 0x80  # inspect.CO_COROUTINE


def load(target: str, factory: bool = False) -> Any:
    """Import an application.

    Args:
        target: "module:attr", with dots inside attr; "module.attr" as Lambda spells handlers; "module"
            for its `app`, `application`, `handler` or `lambda_handler`. "module:make()" calls a factory.
        factory: Whether the attribute is a function that makes the application.

    Raises:
        AppFailed: No such module or attribute. What the application's own code raises comes out as it is.
    """
    place, colon, attribute = target.removesuffix("()").partition(":")
    if not colon and "." in place and not _is_module(place):
        place, _, attribute = place.rpartition(".")
    found = _import(place.replace("/", "."), target)
    for name in (attribute or _default(found)).split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise AppFailed(
                f"{shown(place)} has no attribute {shown(name)}, asked for by {shown(target)}"
            ) from None
    return found() if factory or target.endswith("()") else found


def _is_module(name: str) -> bool:
    from importlib.util import find_spec

    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _import(name: str, target: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise  # the application's own import that fails
        hint = "the environment variable PORTWAY_APP names the application as module:attr"
        raise AppFailed(f"no module {shown(name)}, asked for by {shown(target)}", hint) from None


def _default(module: Any) -> str:
    return next((name for name in _NAMES if hasattr(module, name)), "app")


def interface_of(app: Any) -> str:
    """Return "wsgi" or "asgi" by what the application takes, without calling it.

    Raises:
        AppFailed: Neither fits.
    """
    if not callable(app):
        raise AppFailed(f"the application is of type {type(app).__name__}, which cannot be called")
    is_async, names = _signature(app)
    if is_async or names[:3] == ("scope", "receive", "send") or len(names) == 3:
        return "asgi"
    if len(names) == 2:
        return "wsgi"
    raise AppFailed(
        f"cannot tell whether {shown(app)} is WSGI or ASGI: it takes {shown(names)}",
        "say it: PORTWAY_INTERFACE=wsgi or asgi, or handler(app, interface='wsgi')",
    )


def is_function(found: Any, surely: bool = False) -> bool:
    """Tell whether a callable is a Lambda function of its own: two parameters, not those of WSGI.

    Args:
        found: Anything.
        surely: Whether the names must be those of a Lambda function, because an application is expected.
    """
    if not callable(found):
        return False
    _, names = _signature(found)
    if len(names) != 2 or names[0] in ("environ", "env") or names[1] == "start_response":
        return False
    return not surely or names[0].strip("_") in ("event", "evt") or names[1].strip("_") in ("context", "ctx")


def _signature(app: Any) -> tuple[bool, tuple[str, ...]]:
    """Return whether a call is async, and the names of its positional parameters."""
    bound = 0
    for _ in range(_MAX_LAYERS):
        if hasattr(app, "__wrapped__"):
            app = app.__wrapped__
        elif hasattr(app, "func") and hasattr(app, "keywords"):  # functools.partial
            bound += len(app.args)
            app = app.func
        elif hasattr(app, "__func__"):
            bound += 1
            app = app.__func__
        elif hasattr(app, "__code__"):
            code = app.__code__
            return bool(code.co_flags & _COROUTINE), code.co_varnames[bound : code.co_argcount]
        else:
            app = _Opaque(app) if isinstance(app, type) else _call_of(app)
    return False, ()


def _call_of(app: Any) -> Any:
    """Return the bound `__call__` of an instance; of one without Python code, its signature's stand-in."""
    call = type(app).__call__.__get__(app, type(app))
    return call if hasattr(call, "__func__") else _Opaque(app)


class _Opaque:
    """A compiled callable, known by its signature alone."""

    def __init__(self, app: Any) -> None:
        from inspect import signature

        try:
            names = tuple(signature(app).parameters)
        except (TypeError, ValueError):
            names = ()
        self.__code__ = self
        self.co_flags = 0
        self.co_varnames = names
        self.co_argcount = len(names)
