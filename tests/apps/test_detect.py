"""Telling interfaces apart: every shape an application can have, and shapes that are none."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

import pytest

from portway.apps import detect

Any3 = Callable[..., Any]


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    return []


def wsgi_generator(environ: Any, start_response: Any) -> Iterator[bytes]:
    yield b""


def wsgi_other_names(a: Any, b: Any) -> list[bytes]:
    return []


def wsgi_with_options(
    environ: Any, start_response: Any, debug: bool = False, *, trace: bool = False
) -> None: ...


def wsgi_all_defaults(environ: Any = None, start_response: Any = None) -> None: ...


def wsgi_kwargs(environ: Any, start_response: Any, **kwargs: Any) -> None: ...


def wsgi_rest(environ: Any, *args: Any) -> None: ...


def positional_only(environ: Any, start_response: Any, /) -> None: ...


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


async def asgi_other_names(a: Any, b: Any, c: Any) -> None: ...


async def asgi_optional(scope: Any, receive: Any = None, send: Any = None) -> None: ...


async def asgi_rest(*args: Any) -> None: ...


def asgi_returning(scope: Any, receive: Any, send: Any) -> Awaitable[None]:
    return asgi(scope, receive, send)


def asgi_returning_other_names(a: Any, b: Any, c: Any) -> Awaitable[None]:
    return asgi(a, b, c)


def asgi_sync_rest(scope: Any, *args: Any) -> Awaitable[None]:
    return asgi(scope, *args)


def asgi2(scope: Any) -> Any3:
    return asgi


def create_app() -> Any3:
    return wsgi


def create_app_with_default(config: Any = None) -> Any3:
    return wsgi


def create_app_with_two_defaults(config: Any = None, debug: bool = False) -> Any3:
    return wsgi


async def create_async() -> Any3:
    return asgi


def create_app_keyword(*, config: Any = None) -> Any3:
    return wsgi


def handler(event: Any, context: Any) -> None: ...


def handler_unused_context(event: Any, _context: Any) -> None: ...


def anything(*args: Any, **kwargs: Any) -> Any: ...


def one(request: Any) -> None: ...


def four(a: Any, b: Any, c: Any, d: Any) -> None: ...


def needs_keyword(environ: Any, start_response: Any, *, config: Any) -> None: ...


async def async_two(environ: Any, start_response: Any) -> None: ...


async def async_generator(scope: Any, receive: Any, send: Any) -> Any:
    yield


class CallableWSGI:
    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return []

    def method(self, environ: Any, start_response: Any) -> list[bytes]:
        return []

    @classmethod
    def classmethod(cls, environ: Any, start_response: Any) -> list[bytes]:
        return []

    @staticmethod
    def staticmethod(environ: Any, start_response: Any) -> list[bytes]:
        return []


class CallableASGI:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    async def method(self, scope: Any, receive: Any, send: Any) -> None: ...


class Inherited(CallableASGI):
    pass


class ClassWSGI:
    """PEP 3333's example of a class as an application."""

    def __init__(self, environ: Any, start_response: Any) -> None: ...

    def __iter__(self) -> Iterator[bytes]:
        yield b""


class ClassASGI:
    def __init__(self, scope: Any, receive: Any, send: Any) -> None: ...

    def __await__(self) -> Iterator[None]:
        yield


class ClassASGI2:
    def __init__(self, scope: Any) -> None: ...

    async def __call__(self, receive: Any, send: Any) -> None: ...


class ClassWithArgument:
    def __init__(self, import_name: str) -> None: ...

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return []


class Slotted:
    """A call that is set on the instance through a slot, as some middlewares do."""

    __slots__ = ("__call__", "app")

    def __init__(self) -> None:
        self.__call__ = self._run

    async def _run(self, scope: Any, receive: Any, send: Any) -> None: ...


class CallIsObject:
    __call__ = CallableWSGI()


class ShadowedCall:
    """Python looks `__call__` up on the type, so the instance's attribute changes nothing."""

    def __init__(self) -> None:
        self.__dict__["__call__"] = asgi

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return []


class Updated:
    """A middleware object that took over the identity of what it wraps."""

    def __init__(self, app: Any3) -> None:
        functools.update_wrapper(self, app)
        self.app = app

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.app(*args, **kwargs)


class Meta(type):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return super().__call__(*args, **kwargs)


class WithMeta(metaclass=Meta):
    pass


class NotCallable:
    pass


class HostileSignature:
    @property
    def __signature__(self) -> inspect.Signature:
        raise RuntimeError("no")

    def __call__(self, *args: Any) -> None: ...


class HostileCall:
    @property
    def __call__(self) -> Any3:
        raise RuntimeError("no")


class HostileWrapped:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        return []


def passing(app: Any3) -> Any3:
    @functools.wraps(app)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return app(*args, **kwargs)

    return wrapper


def passing_async(app: Any3) -> Any3:
    @functools.wraps(app)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await app(*args, **kwargs)

    return wrapper


def adapting(app: Any3) -> Any3:
    """A decorator that turns WSGI into ASGI and keeps the name: what counts is what it takes."""

    @functools.wraps(app)
    async def wrapper(scope: Any, receive: Any, send: Any) -> None: ...

    return wrapper


class Decorated:
    @passing
    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return []


def looping() -> Any3:
    def function(*args: Any) -> None: ...

    function.__wrapped__ = function  # type: ignore[attr-defined]
    return function


def unmarked(scope: Any, receive: Any, send: Any, extra: Any) -> None: ...


CASES: list[tuple[object, str]] = [
    (wsgi, "wsgi"),
    (wsgi_generator, "wsgi"),
    (wsgi_other_names, "wsgi"),
    (wsgi_with_options, "wsgi"),
    (wsgi_all_defaults, "wsgi"),
    (wsgi_kwargs, "wsgi"),
    (wsgi_rest, "wsgi"),
    (positional_only, "wsgi"),
    (lambda environ, start_response: [], "wsgi"),
    (asgi, "asgi"),
    (asgi_other_names, "asgi"),
    (asgi_optional, "asgi"),
    (asgi_rest, "asgi"),
    (asgi_returning, "asgi"),
    (asgi_returning_other_names, "asgi"),
    (asgi_sync_rest, "asgi"),
    (asgi2, "asgi2"),
    (create_app, "factory"),
    (create_app_with_default, "factory"),
    (create_app_with_two_defaults, "factory"),
    (create_app_keyword, "factory"),
    (create_async, "factory"),
    (handler, "lambda"),
    (handler_unused_context, "lambda"),
    (anything, "ambiguous"),
    (one, "none"),
    (four, "none"),
    (unmarked, "none"),
    (needs_keyword, "none"),
    (async_two, "none"),
    (async_generator, "none"),
    (CallableWSGI(), "wsgi"),
    (CallableWSGI().method, "wsgi"),
    (CallableWSGI.classmethod, "wsgi"),
    (CallableWSGI.staticmethod, "wsgi"),
    (CallableWSGI, "factory"),
    (CallableASGI(), "asgi"),
    (CallableASGI().method, "asgi"),
    (Inherited(), "asgi"),
    (ClassWSGI, "wsgi"),
    (ClassASGI, "asgi"),
    (ClassASGI2, "asgi2"),
    (ClassWithArgument, "none"),
    (ClassWithArgument(""), "wsgi"),
    (Slotted(), "asgi"),
    (CallIsObject(), "wsgi"),
    (ShadowedCall(), "wsgi"),
    (Updated(wsgi), "wsgi"),
    (Updated(asgi), "asgi"),
    (Updated(CallableASGI()), "asgi"),
    (Decorated(), "wsgi"),
    (WithMeta, "none"),
    (NotCallable, "none"),
    (NotCallable(), "none"),
    (None, "none"),
    ("app", "none"),
    (functools, "none"),
    (functools.partial(wsgi), "wsgi"),
    (functools.partial(four, 1, 2), "wsgi"),
    (functools.partial(asgi), "asgi"),
    (functools.partial(functools.partial(asgi)), "asgi"),
    (functools.partial(CallableASGI()), "asgi"),
    (functools.partial(wsgi, None, None), "factory"),
    (functools.partial(ClassWSGI), "wsgi"),
    (passing(wsgi), "wsgi"),
    (passing(asgi), "asgi"),
    (passing(passing(asgi)), "asgi"),
    (passing(CallableASGI()), "asgi"),
    (passing(create_app), "factory"),
    (passing_async(asgi), "asgi"),
    (passing_async(asgi_returning), "asgi"),
    (adapting(wsgi), "asgi"),
    (functools.partial(passing(asgi)), "asgi"),
    (functools.lru_cache(create_app), "factory"),
    (functools.lru_cache(wsgi), "wsgi"),
    (functools.singledispatch(wsgi), "wsgi"),
    (looping(), "ambiguous"),
    (HostileSignature(), "ambiguous"),
    (HostileCall(), "ambiguous"),
    (HostileWrapped(), "wsgi"),
    (print, "ambiguous"),
    (dict, "ambiguous"),
    (int, "ambiguous"),
    (len, "none"),
    (type, "ambiguous"),
    (object(), "none"),
]


@pytest.mark.parametrize(
    ("app", "interface"), CASES, ids=[f"{line}-{type(app).__name__}" for line, (app, _) in enumerate(CASES)]
)
def test_detect(app: object, interface: str) -> None:
    assert detect(app) == interface


def test_detecting_calls_nothing() -> None:
    def app(environ: Any, start_response: Any) -> None:
        raise AssertionError

    def factory() -> None:
        raise AssertionError

    assert (detect(app), detect(factory)) == ("wsgi", "factory")
