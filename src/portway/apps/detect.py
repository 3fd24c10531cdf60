"""Telling WSGI, ASGI and factories apart by what a callable takes, without calling it.

    async, takes 3                         asgi       async def app(scope, receive, send)
    takes 3                                asgi       a wrapper that returns the awaitable
    takes 2                                wsgi       def app(environ, start_response)
    takes 2, named event and context       lambda     def handler(event, context)
    takes 1 named scope                    asgi2      def app(scope) -> async (receive, send)
    takes nothing                          factory    def create_app(config=None)
    class made with 2, iterable            wsgi       PEP 3333's class example
    class made with 3, awaitable           asgi       Starlette's endpoints
    class made with 1, async call with 2   asgi2
    class made with nothing, callable      factory

Names of parameters decide only where numbers do not. What is left (`def app(*args)`) is ambiguous,
and the user is asked for `--interface`: guessing WSGI for an ASGI application answers every request
with an obscure error.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

Detected = Literal["wsgi", "asgi", "asgi2", "lambda", "factory", "ambiguous", "none"]

_WSGI_NAMES = frozenset({"environ", "env", "start_response"})
_ASGI_NAMES = frozenset({"scope", "receive", "send"})
_EVENT_NAMES = frozenset({"event", "evt"})
_CONTEXT_NAMES = frozenset({"context", "ctx"})
_MAX_LAYERS = 8  # of partials and callables inside callables; a cycle ends here


class _Shape(Struct, frozen=True):
    """What a call takes: names of its positional parameters, how many are required, the rest."""

    names: tuple[str, ...]
    required: int
    variadic: bool
    keyword_only: bool
    is_async: bool

    def takes(self, count: int) -> bool:
        fits = self.required <= count and (self.variadic or count <= len(self.names))
        return fits and not self.keyword_only

    def named(self, *names: frozenset[str]) -> bool:
        return any(name in group for group in names for name in self.names)


def detect(app: object) -> Detected:
    """Return which interface an object offers.

    Returns:
        "wsgi", "asgi", "asgi2" or "lambda"; "factory" for a callable that needs no arguments;
        "ambiguous" for one whose signature fits several or cannot be read; "none" for the rest.
    """
    if inspect.isclass(app):
        return _detect_class(app)
    if not callable(app):
        return "none"
    if _is_async_generator(app):
        return "none"
    shape = _shape(app)
    return "ambiguous" if shape is None else _detect_call(shape)


def _detect_call(shape: _Shape) -> Detected:
    if shape.is_async:
        return _detect_async(shape)
    if shape.takes(2) and shape.named(_WSGI_NAMES):
        return "wsgi"
    if shape.takes(3) and shape.named(_ASGI_NAMES):
        return "asgi"
    if shape.variadic:
        return "ambiguous"
    if shape.takes(0):
        return "factory"
    return _detect_by_count(shape)


def _detect_by_count(shape: _Shape) -> Detected:
    if shape.takes(2):
        event, context = (name.strip("_") for name in shape.names[:2])
        return "lambda" if event in _EVENT_NAMES or context in _CONTEXT_NAMES else "wsgi"
    if shape.takes(3):
        return "asgi"
    return "asgi2" if shape.takes(1) and shape.names[0] == "scope" else "none"


def _detect_async(shape: _Shape) -> Detected:
    if shape.takes(3):
        return "asgi"
    return "factory" if shape.takes(0) else "none"


def _detect_class(cls: type) -> Detected:
    made = _shape(cls)
    if made is None:
        return "ambiguous"
    if made.takes(3) and hasattr(cls, "__await__"):
        return "asgi"
    if made.takes(2) and hasattr(cls, "__iter__"):
        return "wsgi"
    call = _instance_call(cls)
    if call is None:
        return "none"
    if made.required == 1 and made.takes(1):
        shape = _shape(functools.partial(call, None)) if callable(call) else None
        return "asgi2" if shape and shape.is_async and shape.takes(2) else "none"
    return "factory" if made.takes(0) else "none"


def _instance_call(cls: type) -> Any:
    """Return the `__call__` that instances have, as the class holds it; its metaclass's does not count."""
    return next((vars(base)["__call__"] for base in cls.__mro__ if "__call__" in vars(base)), None)


def _shape(app: Callable[..., Any]) -> _Shape | None:
    """Return what calling `app` takes, or None when it cannot be read.

    Reading runs the application's code (properties, `__signature__`), which may raise anything.
    """
    try:
        call = _innermost(app)
        wrapped = _wrapped(app, call)
        own = _own_shape(call)
        # A wrapper that hands everything on takes what the wrapped one takes; a wrapper that names
        # its own parameters takes those, whatever it stands for.
        if wrapped is not None and (own is None or own.variadic):
            inner = _shape(wrapped)
            if inner is not None:
                return replace(inner, is_async=inner.is_async or _is_async(call))
        return own
    except Exception:
        return None


def _own_shape(call: Callable[..., Any]) -> _Shape | None:
    try:
        return _read(signature_of(call, follow_wrapped=False), is_async=_is_async(call))
    except (TypeError, ValueError):  # a builtin, or a wrapper written in C
        return None


def signature_of(call: Callable[..., Any], *, follow_wrapped: bool = True) -> inspect.Signature:
    """Return a callable's signature without evaluating its annotations.

    Python 3.14 would evaluate them, and names imported under TYPE_CHECKING only do not exist then.

    Raises:
        TypeError, ValueError: It has none that can be read.
    """
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        return inspect.signature(call, follow_wrapped=follow_wrapped, annotation_format=Format.FORWARDREF)
    return inspect.signature(call, follow_wrapped=follow_wrapped)


def _innermost(app: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function behind a callable object, following `__call__` as Python itself does."""
    for _ in range(_MAX_LAYERS):
        if inspect.isclass(app) or inspect.isroutine(app) or isinstance(app, functools.partial):
            return app
        call = inspect.getattr_static(type(app), "__call__")
        app = call.__get__(app, type(app)) if hasattr(call, "__get__") else call
    raise TypeError("callables nested without end")


def _wrapped(app: Callable[..., Any], call: Callable[..., Any]) -> Callable[..., Any] | None:
    """Return what `functools.wraps` says stands behind a callable, without what is bound to it."""
    if isinstance(call, functools.partial):
        inner = _wrapped(call.func, _innermost(call.func))
        return inner and functools.partial(inner, *call.args, **call.keywords)
    if app is not call and "__wrapped__" in getattr(app, "__dict__", ()):
        found = app.__dict__["__wrapped__"]  # an object made by functools.update_wrapper(self, app)
    else:
        found = getattr(call, "__wrapped__", None)
        if inspect.ismethod(call) and inspect.isfunction(found):
            return functools.partial(found, call.__self__)
    return found if callable(found) else None


def _is_async(call: Callable[..., Any]) -> bool:
    for _ in range(_MAX_LAYERS):
        if inspect.iscoroutinefunction(call):
            return True
        if not isinstance(call, functools.partial):
            return False
        call = call.func
        if not inspect.isclass(call):
            call = _innermost(call)
    return False


def _is_async_generator(app: Callable[..., Any]) -> bool:
    try:
        return inspect.isasyncgenfunction(_innermost(app))
    except Exception:
        return False


def _read(signature: inspect.Signature, *, is_async: bool) -> _Shape:
    parameters = signature.parameters.values()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return _Shape(
        names=tuple(p.name for p in positional),
        required=sum(p.default is p.empty for p in positional),
        variadic=any(p.kind is p.VAR_POSITIONAL for p in parameters),
        keyword_only=any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters),
        is_async=is_async,
    )
