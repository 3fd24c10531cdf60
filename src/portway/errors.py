"""The one exception tree. Everything that Portway raises on purpose stands here.

    PortwayError
    ├── ConfigError                what the user asked for cannot be
    │   ├── UnknownOption          no such flag, key or PORTWAY_ variable
    │   ├── BadValue               wrong type, out of range, refused by a check
    │   ├── Conflict               two settings that exclude each other
    │   ├── UsageError             the command line does not parse
    │   └── ConfigFileError        a configuration or environment file cannot be read
    ├── AppError                   the application cannot be served
    │   ├── AppNotFound            no such module, attribute or file
    │   ├── AppImportError         its own code raised while it was imported or made (exit 3)
    │   └── NotAnApplication       found, but neither WSGI nor ASGI nor a Lambda handler
    ├── StartupFailed              the application refused to start (exit 3)
    ├── ShutdownFailed             the application did not shut down in order (exit 2)
    ├── BindError                  an address cannot be listened on (exit 3)
    ├── CertificateError           a certificate, its key or TLS's options cannot be used (exit 3)
    ├── SecretUnavailable          a secret that the configuration refers to cannot be had (exit 3)
    ├── UnsupportedPlatform        this operating system cannot run the server
    └── LockSwitchedOff            the interpreter runs without the lock that the engine relies on

An exception carries its data and builds its text from it: lowercase, one line, the offender by
`!r` and shortened, the limit beside the actual figure. What to do about it is the hint. Only `cli`
prints one (`PortwayError.render`) and only `cli` exits with its `exit_code`.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable
from typing import ClassVar

EXIT_INPUT = 1
EXIT_UNEXPECTED = 2
EXIT_STARTUP = 3
"""A start-up failure: an arbiter that sees it in a worker stops instead of starting another one."""

_SHORTENER = reprlib.Repr()
_SHORTENER.maxstring = _SHORTENER.maxother = _SHORTENER.maxlong = 120


def shown(value: object) -> str:
    """Return `repr(value)` cut to a length that fits on a line.

    Escapes control characters, so a hostile value cannot drive the terminal it is printed on.
    """
    return _SHORTENER.repr(value)


def plain(text: str) -> str:
    """Return a file's name as it is, or its `repr` when it holds control characters."""
    return text if text.isprintable() else shown(text)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the member of `known` that looks most like `name`, or None when nothing comes close."""
    return next(iter(nearest_few(name, known, limit=1)), None)


def nearest_few(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """Return up to `limit` members of `known` that look like `name`, the most similar first."""
    folded = {_distinctive(candidate): candidate for candidate in known}
    matches = difflib.get_close_matches(_distinctive(name), folded, n=limit, cutoff=0.6)
    return [folded[match] for match in matches]


def _distinctive(name: str) -> str:
    """Return what tells a name from others of its kind: what all have alone would look like a match."""
    return name.lower().removeprefix("--").removeprefix("portway_")


class PortwayError(Exception):
    """Base of everything Portway raises on purpose.

    Args:
        text: What went wrong, lowercase, one line.
        hint: What the user can do about it, or None.
        details: Lines to show above the error, such as the application's own traceback.
    """

    exit_code: ClassVar[int] = EXIT_INPUT

    def __init__(self, text: str, hint: str | None = None, *, details: str = "") -> None:
        super().__init__(text)
        self.hint = hint
        self.details = details

    def render(self) -> str:
        """Return the error as a terminal or an error log shows it, without a final newline."""
        parts = [self.details.rstrip() + "\n"] if self.details else []
        parts.append(f"error: {self}")
        if self.hint:
            parts.append(f"\nhint: {self.hint}")
        return "\n".join(parts)


class ConfigError(PortwayError):
    """What the user asked for cannot be."""


class UnknownOption(ConfigError):
    """A flag, a key of a file or a PORTWAY_ variable that does not exist.

    Args:
        name: The name as the user wrote it.
        kind: What it was taken for: "option", "key", "environment variable" or "command".
        known: The names that would have been right.
        place: Where it was found ("in portway.toml"), or "" when that is obvious.
        otherwise: The hint when no name comes close.
    """

    def __init__(
        self,
        name: str,
        *,
        kind: str,
        known: Iterable[str],
        place: str = "",
        otherwise: str = "`portway serve --help` lists them all.",
    ) -> None:
        self.name = name
        self.suggestion = nearest(name, known)
        hint = f"did you mean {self.suggestion}?" if self.suggestion else otherwise
        super().__init__(f"unknown {kind} {shown(name)}{place and ' ' + place}", hint)


class BadValue(ConfigError):
    """A value of the wrong type, out of range, or refused by its option's check.

    Args:
        option: The option as the user wrote it, by its source's spelling (`--workers`, `workers`).
        value: The value as it was given.
        problem: What it must be, with the limit: "must be from 1 to 512".
        source: Where the value came from ("in portway.toml"), or "" for a flag.
        hint: What the option does or wants.
    """

    def __init__(
        self, option: str, value: object, problem: str, *, source: str = "", hint: str | None = None
    ) -> None:
        self.option = option
        self.value = value
        self.problem = problem
        super().__init__(f"{option}{source and ' ' + source} {problem}, not {shown(value)}", hint)


class Conflict(ConfigError):
    """Two settings that exclude each other; the text names both and where each was set."""

    def __init__(self, first: str, second: str, why: str, hint: str | None = None) -> None:
        self.sides = (first, second)
        super().__init__(f"{first} conflicts with {second}: {why}", hint)


class UsageError(ConfigError):
    """The command line does not parse: a missing value or argument, or one too many."""


class ConfigFileError(ConfigError):
    """A configuration file or an environment file cannot be read, or is not well formed.

    Args:
        path: The file as the user named it.
        problem: Why, with the line when there is one.
        hint: What would help.
    """

    def __init__(self, path: str, problem: str, hint: str | None = None) -> None:
        self.path = path
        super().__init__(f"cannot read {shown(path)}: {problem}", hint)


class AppError(PortwayError):
    """The application cannot be served. `target` is the name it was asked for by."""

    def __init__(self, target: str, text: str, hint: str | None = None, *, details: str = "") -> None:
        self.target = target
        super().__init__(text, hint, details=details)


class AppNotFound(AppError):
    """No such module, attribute or file; the hint lists what is nearest."""


class AppImportError(AppError):
    """The application's own code raised while it was imported, or while its factory made it.

    `details` is the application's own traceback, trimmed to its frames; `__cause__` is what it raised.
    """

    exit_code = EXIT_STARTUP


class NotAnApplication(AppError):
    """The object exists, but takes neither WSGI's nor ASGI's arguments."""


class StartupFailed(PortwayError):
    """The application refused to start, or did not start in time."""

    exit_code = EXIT_STARTUP


class ShutdownFailed(PortwayError):
    """The application said that its shutdown failed, raised, or took too long. The server stops anyway."""

    exit_code = EXIT_UNEXPECTED


class BindError(PortwayError):
    """An address cannot be listened on.

    Args:
        address: The address as the `bind` option spells it.
        reason: What the operating system says, lowercase.
        hint: What would help.
    """

    exit_code = EXIT_STARTUP

    def __init__(self, address: str, reason: str, hint: str | None = None) -> None:
        self.address = address
        super().__init__(f"cannot listen on {shown(address)}: {reason}", hint)


class CertificateError(PortwayError):
    """A certificate, its private key, or something else that TLS needs cannot be used.

    Args:
        path: The file as the user named it.
        problem: What is wrong with it.
        hint: What would help.
    """

    exit_code = EXIT_STARTUP

    def __init__(self, path: str, problem: str, hint: str | None = None) -> None:
        self.path = path
        super().__init__(f"{shown(path)} {problem}", hint)


class SecretUnavailable(PortwayError):
    """A secret that the configuration refers to cannot be had.

    Args:
        reference: The reference as it is written; a value is in no message.
        variable: The variable that it stands in.
        place: Where that is written: "env in portway.toml".
        problem: Why, as a sentence without its subject.
        hint: What would help.
    """

    exit_code = EXIT_STARTUP

    def __init__(self, reference: str, variable: str, place: str, problem: str, hint: str | None) -> None:
        self.reference = reference
        super().__init__(f"{reference} for {variable} of {place} {problem}", hint)


class UnsupportedPlatform(PortwayError):
    """This operating system cannot run the server."""

    def __init__(self, platform: str) -> None:
        self.platform = platform
        super().__init__(
            f"the server does not run on {shown(platform)}: it needs a Unix with fork and Unix sockets",
            "on Windows, run it inside the Windows Subsystem for Linux (WSL).",
        )


class LockSwitchedOff(PortwayError):
    """A free-threaded interpreter was told to leave its global lock off, whatever needs it."""

    def __init__(self) -> None:
        super().__init__(
            "the server needs Python's global interpreter lock, and PYTHON_GIL=0 or -X gil=0 keeps it off",
            "leave that out: a free-threaded Python then turns the lock on for the server, and says so.",
        )
