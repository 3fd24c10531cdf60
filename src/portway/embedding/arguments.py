"""Options as a program gives them: keyword arguments named as the flags, with underscores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from portway.config.declared import BY_NAME
from portway.config.kinds import Many
from portway.errors import BadValue, PortwayError, UnknownOption

T = TypeVar("T")


def named(arguments: Mapping[str, object], more: Iterable[str] = ()) -> dict[str, object]:
    """Return arguments by the names of their options; None counts as not given.

    Args:
        arguments: Keyword arguments: text, numbers, truth values, lists, paths.
        more: Names that are known beside those of options.

    Raises:
        UnknownOption: There is no such option.
    """
    options: dict[str, object] = {}
    known = {*BY_NAME, *more}
    for name, value in arguments.items():
        option = name.replace("_", "-")
        if option not in known:
            raise UnknownOption(
                name,
                kind="argument",
                known=[each.replace("-", "_") for each in known],
                otherwise="the options of `portway serve --help`, with underscores, are what there is.",
            )
        if value is not None:
            options[option] = _plain(value)
            if isinstance(options[option], str) and option in BY_NAME:
                if isinstance(BY_NAME[option].option.kind, Many):
                    options[option] = [options[option]]  # one value, whatever is in it
    return options


def _plain(value: object) -> object:
    """Return a value as a configuration file could have held it."""
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


@contextmanager
def explained() -> Iterator[None]:
    """Put the hint of an error, and what its application said, under the traceback that a program shows."""
    try:
        yield
    except PortwayError as error:
        if error.details and error.__cause__ is None:  # else the traceback has it already
            error.add_note(f"\n{error.details.rstrip()}")
        if error.hint:
            error.add_note(f"hint: {error.hint}")
        raise


def spoken(action: Callable[[], T], *, keys: bool = False) -> T:
    """Do something with options; a wrong value is named as the argument that it was, and not as a flag.

    Args:
        action: What to do.
        keys: Whether names of the configuration file stand for arguments, too.

    Raises:
        BadValue: What the action raised, with that name.
    """
    try:
        return action()
    except BadValue as error:
        if keys or error.option.startswith("--"):
            name = error.option.removeprefix("--").replace("-", "_")
            raise BadValue(name, error.value, error.problem, hint=error.hint) from None
        raise
