"""From flags, environment and file to `Settings`, with the origin of every value. Pure: nothing is read.

Precedence: flag, `PORTWAY_<OPTION>`, file, the variables that platforms set (`PORT`,
`WEB_CONCURRENCY`, `FORWARDED_ALLOW_IPS`, `AWS_LAMBDA_HTTP_ENDPOINT`), default. The first source that has
the option gives the whole value: a repeated flag replaces a file's array, it does not add to it. An
environment file counts as environment, behind the real one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from portway.config.conflicts import check_conflicts
from portway.config.declared import BY_NAME, BY_VARIABLE, DECLARED, ELSEWHERE, ENVIRONMENT_ONLY, FALLBACKS
from portway.config.kinds import Kind, Many, Refused
from portway.config.option import ENV_PREFIX, Declared
from portway.config.origin import Origin
from portway.config.settings import Settings
from portway.errors import BadValue, ConfigFileError, UnknownOption, plain

if TYPE_CHECKING:
    from portway.config.stages import Layer, Variable

TABLES = frozenset({"routes", "env", "env-files", "stages"})
"""Keys of the file that are no options."""

TOO_LATE = frozenset(
    {"PORTWAY_CONFIG", "PORTWAY_CHDIR", "PORTWAY_ENV_FILE", "PORTWAY_POLLER", "PORTWAY_STAGE"}
)
"""What an environment file cannot set: it is found through these, or they are read before it."""

# Kubernetes gives every container variables for each service of its namespace; one named "portway"
# yields PORTWAY_SERVICE_HOST, PORTWAY_PORT=tcp://…, PORTWAY_PORT_80_TCP_ADDR and so on.
_SERVICE_LINK = re.compile(
    r"PORTWAY_(?:SERVICE_(?:HOST|PORT(?:_\w+)?)|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?)?)"
)


class ConfigFile(Struct, frozen=True):
    """A configuration file that has been read.

    Attributes:
        path: As the user named it; a relative one starts where the command was started.
        table: The keys and values of its portway table.
        directory: The absolute directory it stands in.
        stages: The tables of the stage, and of those that it extends, which count before the file's own:
            what stands before their keys in messages ("stages.prod."), and the table.
    """

    path: str
    table: Mapping[str, object]
    directory: str = ""
    stages: tuple[Layer, ...] = ()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All tables that count, the first one first."""
        return (*self.stages, ("", self.table))

    def find(self, name: str) -> tuple[str, object] | None:
        """Return a key as messages name it ("stages.prod.workers") and its value, or None."""
        for prefix, table in self.layers:
            if name in table:
                return f"{prefix}{name}", table[name]
        return None


class EnvFile(Struct, frozen=True):
    """An environment file that has been read."""

    path: str
    variables: Mapping[str, str]

    def __repr__(self) -> str:
        """Return its name: what it holds may be secret."""
        return f"EnvFile({self.path!r})"


class Loaded(Struct, frozen=True):
    """The settings, and for each option's name where its value came from.

    Attributes:
        settings: The options.
        origins: Where each option's value came from, by its name.
        file: The configuration file, when there is one.
        variables: What the file adds to the application's environment, as it is written; what the real
            environment has goes before it.
        env_file: The file of `--env-file`, when there is one.
    """

    settings: Settings
    origins: Mapping[str, Origin]
    file: ConfigFile | None = None
    variables: tuple[Variable, ...] = ()
    env_file: EnvFile | None = None

    @property
    def has_routes(self) -> bool:
        """Whether there is a site to read."""
        return self.file is not None and self.file.find("routes") is not None


def load(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    file: ConfigFile | None = None,
    env_file: EnvFile | None = None,
    more: Sequence[EnvFile] = (),
) -> Loaded:
    """Return the settings that the sources add up to.

    Args:
        flags: By option name ("limit-request-line"), only those given: text, a bool for a switch,
            a tuple of texts for an option with several values.
        environ: The process's environment.
        file: The configuration file, when there is one.
        env_file: The environment file, when there is one.
        more: What counts behind it: the variables that the configuration file adds.

    Raises:
        UnknownOption: A flag, a PORTWAY_ variable or a key that does not exist.
        BadValue: A value that its option does not take.
        Conflict: Two settings that exclude each other.
    """
    env_files = ((env_file,) if env_file else ()) + tuple(more)
    _refuse_unknown(flags, environ, file, env_files)
    sources = _Sources(flags, environ, file, env_files)
    groups: dict[str, dict[str, Any]] = {}
    origins = {}
    for declared in DECLARED:
        value, origin = sources.take(declared)
        groups.setdefault(declared.group, {})[declared.field] = value
        origins[declared.option.name] = origin
    defaults = Settings()
    settings = Settings(**{name: type(getattr(defaults, name))(**values) for name, values in groups.items()})
    check_conflicts(settings, origins)
    return Loaded(settings, origins, file)


def take(
    name: str, flags: Mapping[str, object], environ: Mapping[str, str], file: ConfigFile | None
) -> tuple[Any, Origin]:
    """Return the value of one option and where it came from, for what has to be known before the rest.

    Raises:
        BadValue: A value that the option does not take.
    """
    return _Sources(flags, environ, file, ()).take(BY_NAME[name])


class _Sources(Struct, frozen=True):
    flags: Mapping[str, object]
    environ: Mapping[str, str]
    file: ConfigFile | None
    env_files: tuple[EnvFile, ...]

    def take(self, declared: Declared) -> tuple[Any, Origin]:
        option = declared.option
        if option.name in self.flags:
            origin = Origin("flag", option.flag)
            return self._read(declared, origin, self.flags[option.name]), origin
        if found := self._variable(option.variable):
            return self._read(declared, found[1], found[0]), found[1]
        if self.file and (key := self.file.find(option.name)):
            origin = Origin("file", key[0], plain(self.file.path))
            return self._read(declared, origin, key[1]), origin
        for name in FALLBACKS.get(option.name, ()):
            if (found := self._variable(name)) and found[0]:
                return self._fallback(declared, *found), found[1]
        return declared.default, Origin("default", option.name)

    def _variable(self, name: str) -> tuple[str, Origin] | None:
        if name in self.environ:
            return self.environ[name], Origin("environment", name)
        for env_file in self.env_files:
            if name in env_file.variables:
                return env_file.variables[name], Origin("environment", name, plain(env_file.path))
        return None

    def _fallback(self, declared: Declared, text: str, origin: Origin) -> Any:
        if origin.name != "PORT":
            return self._read(declared, origin, text)
        if not re.fullmatch(r"[1-9][0-9]{0,4}", text, re.ASCII) or int(text) > 65_535:
            hint = "unset it, or say where to listen with --bind."
            raise BadValue("PORT", text, "must be a port from 1 to 65535", source=origin.place, hint=hint)
        return (f"0.0.0.0:{text}",)

    def _read(self, declared: Declared, origin: Origin, value: object) -> Any:
        try:
            return _convert(declared.option.kind, origin, value)
        except Refused as refusal:
            offender = value if refusal.offender is None else refusal.offender
            hint = f"{declared.option.name}: {declared.option.help}"
            raise BadValue(origin.name, offender, str(refusal), source=origin.place, hint=hint) from None


def _convert(kind: Kind, origin: Origin, value: object) -> Any:
    if isinstance(kind, Many) and isinstance(value, tuple):
        return kind.from_flags(value)
    if origin.source == "file" or not isinstance(value, str):
        return kind.from_toml(value)  # a switch's flag arrives as a bool, too
    return kind.from_text(value)


def _refuse_unknown(
    flags: Iterable[str],
    environ: Mapping[str, str],
    file: ConfigFile | None,
    env_files: Iterable[EnvFile],
) -> None:
    for name in flags:
        if name not in BY_NAME:
            raise UnknownOption(name, kind="option", known=BY_NAME)
    if file:
        _refuse_keys(file)
    _refuse_variables(environ, "")
    for env_file in env_files:
        for name in TOO_LATE.intersection(env_file.variables):
            hint = "set it in the real environment."
            raise ConfigFileError(env_file.path, f"{name} has no effect in an environment file", hint)
        _refuse_variables(env_file.variables, f"in {plain(env_file.path)}")


def _refuse_keys(file: ConfigFile) -> None:
    """Refuse unknown keys, those of stages that do not count today among them."""
    place = f"in {plain(file.path)}"
    for name in file.table:
        if name not in BY_NAME and name not in TABLES:
            raise UnknownOption(name, kind="key", known={*BY_NAME, *TABLES}, place=place)
    if "stages" in file.table:
        from portway.config.stages import refuse_unknown_keys  # late: most servers have none

        refuse_unknown_keys(file.table, file.path, BY_NAME)


def _refuse_variables(environ: Iterable[str], place: str) -> None:
    known = {*BY_VARIABLE, *ENVIRONMENT_ONLY}
    for name in environ:
        if not name.startswith(ENV_PREFIX) or name in ELSEWHERE or _SERVICE_LINK.fullmatch(name):
            continue
        if name not in known:
            raise UnknownOption(name, kind="environment variable", known=known, place=place)
