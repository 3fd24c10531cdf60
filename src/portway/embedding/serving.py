"""`portway.serve`: what `portway serve` does, called from a program."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from portway.apps import name_of
from portway.cli.server import prepare
from portway.cli.session import Session
from portway.embedding.arguments import explained, named, spoken
from portway.errors import EXIT_UNEXPECTED, BadValue, UsageError


def serve(app: Any = None, *, config: str | os.PathLike[str] | None = None, **options: Any) -> None:
    """Serve an application with an arbiter and workers until a signal ends the server.

    The same as the command `portway serve` with the same options: the environment (`PORTWAY_…`) and the
    configuration file count as well, behind what is given here. Call it in the main thread, last: each worker
    is a fork of this process. Returns when the server was told to stop, in this process only; nothing after
    the call runs in a worker, no `finally` of the caller and no exit handler registered before.

    Args:
        app: The application: its name ("module:attr", "module:factory()", "path/to/file.py"), or the WSGI or
            ASGI callable itself, or a function that returns it. A name can be imported again, so only with a
            name a reload brings changed code. None takes the configuration's.
        config: The configuration file, instead of `portway.toml` or `pyproject.toml` in this directory.
        options: Options by the names of their flags, with underscores: `workers=4`, `bind="0.0.0.0:80"`.

    Raises:
        ConfigError: An option does not exist, or has a wrong value.
        PortwayError: The server cannot start: an address that is in use, an application that fails.
        UsageError: Not the main thread, or inside a running event loop.
    """
    with explained():
        _refuse_wrong_place()
        flags = named(options)
        found = None
        if isinstance(app, str):
            flags["app"] = app
        elif app is not None:
            flags["app"] = name_of(app)
            found = app
        with _own_signals(), _own_directory():
            _serve(flags, None if config is None else os.fspath(config), found)


def _serve(flags: dict[str, object], config: str | None, found: object) -> None:
    told, invocation = spoken(lambda: prepare(flags, config, Session()))
    if found is not None:
        _refuse_what_needs_a_name("reload", told.settings.reload.on_change)
        _refuse_what_needs_a_name("preload", told.settings.process.preload)
    _warn_of_threads()
    from portway.server import run_arbiter

    here = os.getpid()
    try:
        life = run_arbiter(told, invocation, found)
        if life is not None:
            _live(life)
    except BaseException:
        if os.getpid() != here:
            traceback.print_exc()
            os._exit(EXIT_UNEXPECTED)
        raise
    finally:
        gc.unfreeze()  # the program goes on, and what it drops is garbage again


def _live(life: Callable[[], int]) -> NoReturn:
    """Be a forked child until its end: none of the caller's frames, which are the parent's, goes on here."""
    code = EXIT_UNEXPECTED
    try:
        atexit._clear()  # what was registered until now is for the end of the program that serves
        code = life()
        # as the interpreter ends: threads first, then exit handlers
        getattr(threading, "_shutdown")()  # noqa: B009 - not in the stubs; multiprocessing does the same
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (AttributeError, OSError, ValueError):
                pass
        os._exit(code)


def _refuse_wrong_place() -> None:
    if threading.current_thread() is not threading.main_thread():
        raise UsageError(
            "portway.serve() is for the main thread: it obeys signals and forks",
            "portway.Server serves in a thread.",
        )
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        raise UsageError(
            "portway.serve() would block the event loop that it is called in",
            "`async with portway.Server(app):` serves in that loop.",
        )


def _warn_of_threads() -> None:
    others = threading.active_count() - 1
    if others:
        warnings.warn(
            f"portway.serve() forks its workers, and {others} other threads of this process are not forked",
            RuntimeWarning,
            stacklevel=4,
        )


def _refuse_what_needs_a_name(option: str, value: bool) -> None:
    if value:
        raise BadValue(
            option,
            value,
            "needs the application's name, to import it again",
            hint='portway.serve("module:app", …) instead of the application itself.',
        )


@contextmanager
def _own_signals() -> Iterator[None]:
    """Give the program its signal handlers back at the end."""
    from portway.server.signals import HANDLED

    wakeup = signal.set_wakeup_fd(-1)
    before = {number: signal.getsignal(number) for number in HANDLED}
    try:
        yield
    finally:
        for number, handler in before.items():
            # None: one that was not set by Python, and cannot be
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        signal.set_wakeup_fd(wakeup)


@contextmanager
def _own_directory() -> Iterator[None]:
    """Go back to where the program was: `chdir` is the server's."""
    before = os.getcwd()
    try:
        yield
    finally:
        os.chdir(before)
