"""A `portway serve` command line read without click, which takes a good part of a server's start to import.

Only what cannot be read in two ways is read here: whole flags, each with its value. Everything else
(help, mistakes, abbreviated or joined flags) is left to click, so that there is one place that explains.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from portway.config.declared import DECLARED
from portway.config.kinds import Switch


class Plain(Struct, frozen=True):
    """What a command line says.

    Attributes:
        flags: The options given, by name: text, a bool for a switch, a tuple for one with several values.
        config: What `--config` names.
    """

    flags: dict[str, object]
    config: str | None


_VALUED = {
    flag: declared.option
    for declared in DECLARED
    for flag in declared.option.flags
    if flag.startswith("-") and not isinstance(declared.option.kind, Switch)
}
_SWITCHES = {
    spelling: (declared.option.name, on)
    for declared in DECLARED
    if isinstance(declared.option.kind, Switch)
    for spelling, on in ((declared.option.flag, True), (f"--no-{declared.option.name}", False))
}
_ARGUMENT = next(d.option.name for d in DECLARED if not d.option.flag.startswith("-"))


def read_plainly(arguments: Sequence[str]) -> Plain | None:
    """Return what the arguments of `portway serve` say, or None where click should look at them."""
    flags: dict[str, object] = {}
    several: dict[str, tuple[str, ...]] = {}
    config = None
    rest = iter(arguments)
    for argument in rest:
        if argument in _SWITCHES:
            name, on = _SWITCHES[argument]
            flags[name] = on
            continue
        if not argument.startswith("-"):
            if _ARGUMENT in flags:
                return None
            flags[_ARGUMENT] = argument
            continue
        flag, equals, value = argument.partition("=")
        if equals and not flag.startswith("--"):
            return None
        if not equals:
            value = next(rest, "-")
        if value.startswith("-"):
            return None
        if flag in ("-c", "--config"):
            config = value
        elif flag not in _VALUED:
            return None
        elif _VALUED[flag].kind.many:
            name = _VALUED[flag].name
            several[name] = (*several.get(name, ()), value)
        else:
            flags[_VALUED[flag].name] = value
    return Plain(flags | several, config)
