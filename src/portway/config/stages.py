"""The stages of a configuration file: which tables count, in which order, and what they say of variables.

A stage is a table `[stages.NAME]`. It holds options, routes and variables that count before those of the
stage that it extends, and those before the file's own. Pure: nothing is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from portway.config.checks import stage_name
from portway.config.kinds import Many, Refused, Text
from portway.errors import BadValue, ConfigError, UnknownOption, plain, shown

OWN_KEYS = frozenset({"extends", "env", "env-files", "routes"})
"""Keys of a stage that are no options."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_OWN_PREFIX = "PORTWAY_"


Layer = tuple[str, Mapping[str, object]]
"""What stands before the keys of a table in messages ("stages.prod.", or ""), and the table."""


class Variable(Struct, frozen=True):
    """A variable of the application's environment, as it is written.

    Attributes:
        name: Its name.
        text: Its value; references (`${ssm:/name}`) stand in it where it comes from an `env` table.
        file: The environment file that it comes from, as the user named it; "" for an `env` table.
        place: The key and the file, for messages: "stages.prod.env in portway.toml".
    """

    name: str
    text: str
    file: str = ""
    place: str = ""

    def __repr__(self) -> str:
        """Return the name and where the value is; one from a file may be a secret."""
        return f"Variable({self.name!r}, {self.file or self.text!r})"


def stages_of(table: Mapping[str, object], path: str) -> dict[str, Mapping[str, object]]:
    """Return the stages of a file by name.

    Args:
        table: The file's table.
        path: The file, as the user named it.

    Raises:
        BadValue: `stages` is no table of tables, or a name is none.
    """
    stages, place = table.get("stages", {}), f"in {plain(path)}"
    hint = "a stage begins with [stages.NAME] on a line of its own."
    if not isinstance(stages, dict):
        raise BadValue("stages", stages, "must be a table", source=place, hint=hint)
    for name, stage in stages.items():
        if not isinstance(stage, dict):
            raise BadValue(f"stages.{name}", stage, "must be a table", source=place, hint=hint)
        try:
            if stage_name(name) != name or not name:
                raise Refused("must be a name of its own")
        except Refused as refusal:
            raise BadValue("the name of a stage", name, str(refusal), source=place, hint=hint) from None
    return stages


def refuse_unknown_keys(table: Mapping[str, object], path: str, options: Iterable[str]) -> None:
    """Refuse unknown keys of all stages, of those that do not count today too.

    Args:
        table: The file's table.
        path: The file, as the user named it.
        options: The names of all options.

    Raises:
        UnknownOption: It names the nearest.
    """
    known = {*options, *OWN_KEYS} - {"stage"}
    for stage, keys in stages_of(table, path).items():
        for name in keys:
            if name not in known:
                place = f"of stages.{stage} in {plain(path)}"
                raise UnknownOption(name, kind="key", known=known, place=place)


def layers_of(table: Mapping[str, object], path: str, stage: str, asked: str) -> tuple[Layer, ...]:
    """Return the tables of a stage and of those that it extends, the first that counts first.

    Args:
        table: The file's table.
        path: The file, as the user named it.
        stage: The stage; "" for the file alone.
        asked: Where the stage was asked for, as a message begins: "--stage".

    Raises:
        UnknownOption: There is no such stage; it names the nearest.
        ConfigError: Stages extend each other in a circle.
    """
    stages = stages_of(table, path)
    layers: list[Layer] = []
    chain: list[str] = []
    while stage:
        if stage not in stages:
            raise _no_stage(stage, stages, path, asked)
        if stage in chain:
            circle = " → ".join([*chain[chain.index(stage) :], stage])
            raise ConfigError(f"stages in {plain(path)} extend each other: {circle}", "take one extends out.")
        chain.append(stage)
        layers.append((f"stages.{stage}.", stages[stage]))
        asked = f"stages.{stage}.extends"
        stage = _extended(stages[stage], asked, path)
    return tuple(layers)


def _no_stage(stage: str, stages: Mapping[str, object], path: str, asked: str) -> UnknownOption:
    known = f"{plain(path)} has {', '.join(stages)}." if stages else f"{plain(path)} has no [stages.…]."
    return UnknownOption(stage, kind="stage", known=stages, place=f"of {asked}", otherwise=known)


def _extended(stage: Mapping[str, object], key: str, path: str) -> str:
    name = stage.get("extends", "")
    if not isinstance(name, str):
        hint = f'leave it out to extend the file itself, or write {key.rpartition(".")[2]} = "NAME".'
        raise BadValue(key, name, "must be the name of a stage", source=f"in {plain(path)}", hint=hint)
    return name


def env_files_of(layers: tuple[Layer, ...], path: str) -> tuple[str, ...]:
    """Return the environment files of all layers; a later one's variables count.

    Raises:
        BadValue: `env-files` is not what it must be.
    """
    names: list[str] = []
    for prefix, table in reversed(layers):
        if "env-files" in table:
            value = table["env-files"]
            try:
                names += Many(Text("FILE")).from_toml(value)
            except Refused as refusal:
                key, hint = f"{prefix}env-files", 'write env-files = ["prod.env"].'
                raise BadValue(key, value, str(refusal), source=f"in {plain(path)}", hint=hint) from None
    return tuple(dict.fromkeys(names))


def variables_of(layers: tuple[Layer, ...], path: str) -> dict[str, Variable]:
    """Return the variables that `env` tables set; the first layer that has one counts.

    Raises:
        BadValue: `env` is not what it must be.
    """
    found: dict[str, Variable] = {}
    for prefix, table in reversed(layers):
        place = f"{prefix}env in {plain(path)}"
        for name, text in _pairs(f"{prefix}env", table.get("env", {}), path):
            found[name] = Variable(name, text, place=place)
    return found


def _pairs(key: str, table: object, path: str) -> Iterator[tuple[str, str]]:
    source = f"in {plain(path)}"
    if not isinstance(table, dict):
        hint = 'write env = { NAME = "value" }.'
        raise BadValue(key, table, "must be a table from name to text", source=source, hint=hint)
    for name, text in table.items():
        if not _VARIABLE.fullmatch(name):
            hint = "letters, digits and _, and no digit first."
            raise BadValue(f"a name of {key}", name, "must be that of a variable", source=source, hint=hint)
        if name.startswith(_OWN_PREFIX):
            option = name.removeprefix(_OWN_PREFIX).lower().replace("_", "-")
            hint = f"write {option} = … in the same table."
            raise BadValue(f"a name of {key}", name, "must not be an option's", source=source, hint=hint)
        if not isinstance(text, str) or "\0" in text:
            hint = f'write it as text: {name} = "{shown(text)}".'
            raise BadValue(f"{key}.{name}", text, "must be text", source=source, hint=hint)
        yield name, text
