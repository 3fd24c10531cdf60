"""`[hooks]`: functions of the operator's own, imported and called. What one raises is logged, never more.

Arbiter events are imported by the arbiter, which imports no application: their module should be one of its
own. Worker events are imported in each worker, from where the application is imported.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from msgspec import Struct

from portway.apps.importing import import_target
from portway.apps.target import parse_target
from portway.config import Settings
from portway.config.hook_table import ARBITER_EVENTS
from portway.errors import BadValue, PortwayError
from portway.server.assignment import Shared
from portway.server.logs import ErrorLog, Level, describe_exception


class HookLog:
    """The error log, as hooks know it from gunicorn: `server.log.info("text %s", value)`."""

    def __init__(self, log: ErrorLog) -> None:
        self._log = log

    def _write(self, level: Level, text: str, arguments: tuple[object, ...]) -> None:
        self._log.entry(level, text % arguments if arguments else text)

    def debug(self, text: str, *arguments: object) -> None:
        """Write an entry of level debug."""
        self._write("debug", text, arguments)

    def info(self, text: str, *arguments: object) -> None:
        """Write an entry of level info."""
        self._write("info", text, arguments)

    def warning(self, text: str, *arguments: object) -> None:
        """Write an entry of level warning."""
        self._write("warning", text, arguments)

    def error(self, text: str, *arguments: object) -> None:
        """Write an entry of level error."""
        self._write("error", text, arguments)


class Server(Struct, frozen=True):
    """What hooks are told about the server.

    Attributes:
        pid: The arbiter's process id.
        address: Where it listens.
        settings: Its configuration.
        log: The error log.
    """

    pid: int
    address: tuple[str, ...]
    settings: Settings
    log: HookLog


class Worker(Struct, frozen=True):
    """What hooks are told about a worker.

    Attributes:
        pid: Its process id; 0 before it is forked.
        slot: Its place on the shared board.
        generation: The number of its generation.
        log: The error log.
    """

    pid: int
    slot: int
    generation: int
    log: HookLog


class Hooks:
    """Functions by event. Used in one process.

    Args:
        functions: What is called.
        log: Where it is written that one of them raised.
    """

    def __init__(self, functions: dict[str, Callable[..., object]], log: ErrorLog) -> None:
        self._functions = functions
        self._log = log

    def __contains__(self, event: str) -> bool:
        return event in self._functions

    def call(self, event: str, *arguments: object) -> None:
        """Call the function of an event, where there is one. Never raises."""
        function = self._functions.get(event)
        if function is None:
            return
        try:
            function(*arguments)
        except (Exception, SystemExit) as error:
            self._log.entry("error", f"the hook {event} failed", describe_exception(error))


def load_hooks(settings: Settings, events: Iterable[str], log: ErrorLog) -> Hooks:
    """Import the functions of some events.

    Args:
        settings: The configuration.
        events: The events of this process.
        log: The error log.

    Raises:
        BadValue: A function does not exist, or its module cannot be imported.
    """
    wanted = [(event, text) for event, text in settings.hooks.functions if event in events]
    return Hooks({event: _import(event, text) for event, text in wanted}, log)


def _import(event: str, text: str) -> Callable[..., object]:
    target = parse_target(text)
    try:
        module = import_target(target, Path.cwd())
        function: Any = functools.reduce(getattr, target.attribute, module)
    except PortwayError as error:
        raise BadValue(f"hooks.{event}", text, f"cannot be imported ({error})", hint=error.hint) from error
    except AttributeError:
        problem = "must name a function that its module has"
        raise BadValue(f"hooks.{event}", text, problem) from None
    if not callable(function):
        raise BadValue(f"hooks.{event}", text, "must name a function")
    return function  # type: ignore[no-any-return]


def describe_server(settings: Settings, address: Iterable[str], log: ErrorLog, pid: int = 0) -> Server:
    """Return what hooks are told about the server, in the arbiter or in one of its workers."""
    return Server(pid or os.getpid(), tuple(address), settings, HookLog(log))


class ArbiterHooks:
    """The arbiter's hooks, called with what they are told. Used by the arbiter's only thread.

    Args:
        shared: What the present generation was handed.

    Raises:
        BadValue: A function cannot be imported.
    """

    def __init__(self, shared: Shared) -> None:
        self._hooks = load_hooks(shared.settings, ARBITER_EVENTS, shared.log)
        self._shared = shared

    @property
    def _server(self) -> Server:
        shared = self._shared
        addresses = [str(listener) for listener in shared.listeners if listener.sock.fileno() >= 0]
        return describe_server(shared.settings, addresses, shared.log)

    def call(self, event: str, *arguments: object) -> None:
        """Call the hook of an event with the server and what comes after it."""
        if event in self._hooks:
            self._hooks.call(event, self._server, *arguments)

    def call_about(self, event: str, pid: int, slot: int, generation: int) -> None:
        """Call the hook of an event with the server and a worker."""
        if event in self._hooks:
            worker = Worker(pid, slot, generation, HookLog(self._shared.log))
            self._hooks.call(event, self._server, worker)
