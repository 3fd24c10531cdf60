"""Finding the object that APP names inside its module, and making it when it is a factory."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

from portway.apps.detect import detect, signature_of
from portway.apps.importing import guarded
from portway.apps.target import Call, Target
from portway.errors import AppNotFound, NotAnApplication, nearest_few, shown

NAMES = ("app", "application")
FACTORIES = ("create_app", "make_app")
"""Looked for, in this order, when APP names no attribute."""
HANDLERS = ("handler", "lambda_handler")
"""Looked for after those; a WSGI or ASGI function of such a name is not meant."""


def find(module: ModuleType, target: Target, factory: bool) -> tuple[Any, str]:
    """Return the object that APP names, made by its factory when it is one, and a name for it.

    Args:
        module: The module that was imported for APP.
        target: What to find in it.
        factory: Whether to call what is found even when it takes arguments.

    Raises:
        AppNotFound: The attribute does not exist.
        AppImportError: The application's code raised.
        NotAnApplication: A factory that cannot be called, or not so.
    """
    if target.attribute:
        found = _walk(module, target)
        name = ".".join(target.attribute)
    else:
        found, name = _search(module, target, factory)
    if target.call is not None:
        return _make(found, target, name, target.call), f"{target.place}:{name}()"
    if factory or detect(found) == "factory":
        return _make(found, target, name, Call((), {})), f"{target.place}:{name}()"
    return found, f"{target.place}:{name}"


def _search(module: ModuleType, target: Target, factory: bool) -> tuple[Any, str]:
    for name in (*FACTORIES, *NAMES) if factory else (*NAMES, *FACTORIES):
        found = _get(module, name, None, target.place, target)
        if callable(found):
            return found, name
    for name in HANDLERS:
        found = _get(module, name, None, target.place, target)
        if detect(found) == "lambda":
            return found, name
    names = ", ".join((*NAMES, *FACTORIES, *HANDLERS))
    raise AppNotFound(target.text, f"{shown(target.place)} has none of {names}", _candidates(module, target))


def _candidates(module: ModuleType, target: Target) -> str:
    likely = [name for name, value in list(vars(module).items()) if _is_likely(name, value, module)]
    if likely:
        return "did you mean " + " or ".join(f"{target.place}:{name}" for name in likely[:3]) + "?"
    return f"name the attribute: {target.place}:NAME."


def _is_likely(name: str, value: object, module: ModuleType) -> bool:
    """Tell whether a name of a module is an application of its own, not a function it imported."""
    if name.startswith("_") or inspect.isclass(value):
        return False
    if inspect.isroutine(value) and getattr(value, "__module__", None) != module.__name__:
        return False
    return detect(value) in ("wsgi", "asgi", "asgi2", "lambda")


def _walk(module: ModuleType, target: Target) -> Any:
    found: Any = module
    for depth, name in enumerate(target.attribute):
        owner = ":".join(filter(None, [target.place, ".".join(target.attribute[:depth])]))
        found = _attribute(found, name, owner, target)
    return found


def _attribute(owner: Any, name: str, owner_name: str, target: Target) -> Any:
    missing = object()
    found = _get(owner, name, missing, owner_name, target)
    if found is not missing:
        return found
    raise AppNotFound(
        target.text,
        f"{shown(owner_name)} has no attribute {shown(name)}",
        _attribute_hint(owner, name, owner_name, target),
    )


def _attribute_hint(owner: Any, name: str, owner_name: str, target: Target) -> str:
    names = [known for known in _names(owner) if not known.startswith("_")]
    prefix = owner_name + (":" if owner_name == target.place else ".")
    if near := nearest_few(name, names):
        return "did you mean " + " or ".join(prefix + known for known in near) + "?"
    if inspect.ismodule(owner):
        return _candidates(owner, target)
    return f"it has {', '.join(names[:5])}." if names else "it has no attributes."


def _get(owner: Any, name: str, default: Any, owner_name: str, target: Target) -> Any:
    """Return an attribute; reading it may run the application's code, whose failure is its own."""
    doing = f"reading {shown(name)} of {shown(owner_name)}"
    return guarded(target.text, doing, lambda: getattr(owner, name, default))


def _names(owner: Any) -> list[str]:
    try:
        return [str(name) for name in dir(owner)]
    except Exception:
        return []  # a __dir__ of the application's own that raises; the hint is lost, nothing else


def make(factory: Any, target: Target) -> Any:
    """Return what a factory that takes no arguments makes.

    Args:
        factory: What to call.
        target: What messages call it.

    Raises:
        AppImportError: It raised.
        NotAnApplication: It cannot be called, or not so.
    """
    return _make(factory, target, ".".join(target.attribute), Call((), {}))


def _make(factory: Any, target: Target, name: str, call: Call) -> Any:
    text = f"{target.place}:{name}"
    if not callable(factory):
        hint = f"leave the parentheses out: {text}."
        raise NotAnApplication(target.text, f"{shown(text)} is {describe(factory)}, not a factory", hint)
    try:
        signature_of(factory).bind(*call.args, **call.kwargs)
    except TypeError as error:
        hint = f'write literal arguments in the call: {text}("value").'
        raise NotAnApplication(target.text, f"{shown(text)} cannot be called so: {error}", hint) from None
    except Exception:
        pass  # no signature to read: calling it tells
    made = guarded(target.text, f"calling {shown(text)}", lambda: factory(*call.args, **call.kwargs))
    if inspect.iscoroutine(made):
        made.close()
        raise NotAnApplication(
            target.text,
            f"{shown(text)} is an async factory",
            "make the application in a plain function, and open connections in its lifespan.",
        )
    return made


def describe(value: object) -> str:
    """Return what an object is, as a message puts it: "None", "a module", "the class 'Site'"."""
    if value is None:
        return "None"
    if inspect.ismodule(value):
        return "a module"
    if inspect.isclass(value):
        return f"the class {shown(value.__qualname__)}"
    if inspect.isroutine(value):
        is_async = inspect.iscoroutinefunction(value) or inspect.isasyncgenfunction(value)
        return f"{'an async' if is_async else 'a'} function with other parameters"
    return f"an object of type {shown(type(value).__qualname__)}"
