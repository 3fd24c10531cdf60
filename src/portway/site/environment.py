"""What the applications of a site find in their environment, with what its references stand for.

The values are known to this object alone. It shows names, never a value, so that no traceback and no log
gives one away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping

from portway.config.load import Loaded
from portway.config.stages import Variable
from portway.errors import SecretUnavailable, nearest
from portway.site.references import Reference, parts_of

STAGE_VARIABLE = "PORTWAY_STAGE"
"""Tells an application its stage."""


class Environment:
    """Variables with their values. Two are equal when their values are.

    Args:
        values: Name → value.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield each name with its value."""
        return iter(self._values.items())

    def enter(self, environ: MutableMapping[str, str]) -> None:
        """Add the variables to an environment. What it has stays, but for the name of the stage."""
        for name, value in self._values.items():
            if name == STAGE_VARIABLE:
                environ[name] = value
            else:
                environ.setdefault(name, value)

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same."""
        return isinstance(other, Environment) and self._values == other._values

    __hash__ = None  # type: ignore[assignment]  # a hash of its values would be a trace of them

    def __repr__(self) -> str:
        """Return the names."""
        return f"Environment({', '.join(self._values)})"


def environment_of(loaded: Loaded, environ: Mapping[str, str], *, whole: bool = False) -> Environment:
    """Return what a configuration adds to the environment; AWS is asked for what its references name.

    Args:
        loaded: The configuration.
        environ: The process's environment: what `${env:NAME}` names, and how AWS is found.
        whole: Whether variables count that the process's environment has as well, for an environment
            that is not this process's.

    Raises:
        BadValue: A reference is not well formed.
        SecretUnavailable: What one names cannot be had.
    """
    variables = [one for one in loaded.variables if whole or one.name not in environ]
    parts = {variable: parts_of(variable) for variable in variables}
    known = {**_plain(parts), **(loaded.env_file.variables if loaded.env_file else {}), **environ}
    found = _resolved(parts, known)
    values = {}
    for variable, one in parts.items():
        value = "".join(found[part] if isinstance(part, Reference) else part for part in one)
        if "\0" in value:
            _refuse_nul(variable, one)
        values[variable.name] = value
    if loaded.settings.app.stage:
        values[STAGE_VARIABLE] = loaded.settings.app.stage
    return Environment(values)


def _refuse_nul(variable: Variable, parts: Iterable[str | Reference]) -> None:
    reference = next(part for part in parts if isinstance(part, Reference))
    problem = "holds a NUL byte, which no variable can"
    raise SecretUnavailable(str(reference), variable.name, variable.place, problem, "store it as text.")


def _plain(parts: Mapping[Variable, tuple[str | Reference, ...]]) -> dict[str, str]:
    """Return the variables that are what they say."""
    texts = {
        variable.name: [part for part in one if isinstance(part, str)] for variable, one in parts.items()
    }
    return {one.name: "".join(texts[one.name]) for one in parts if len(texts[one.name]) == len(parts[one])}


def _resolved(
    parts: Mapping[Variable, tuple[str | Reference, ...]], known: Mapping[str, str]
) -> dict[Reference, str]:
    """Return what each reference stands for."""
    users = {part: variable for variable, one in parts.items() for part in one if isinstance(part, Reference)}
    found = {one: _variable(one, users[one], known) for one in users if one.kind == "env"}
    remote = [one for one in users if one.kind != "env"]
    if remote:
        from portway.site.secrets import fetch  # late: few sites have one

        found |= fetch(remote, users, known)
    return found


def _variable(reference: Reference, user: Variable, known: Mapping[str, str]) -> str:
    if reference.name not in known:
        close = nearest(reference.name, known)
        hint = f"did you mean ${{env:{close}}}?" if close else "set it where the server is started."
        raise SecretUnavailable(str(reference), user.name, user.place, "is not set", hint)
    return known[reference.name]


def names_of(variables: Iterable[Variable]) -> list[tuple[str, str]]:
    """Return each variable's name, and what may be shown of its value: the text with its references.

    A value from an environment file is not shown: it may be a secret.
    """
    return [(one.name, f"(in {one.file})" if one.file else one.text) for one in variables]
