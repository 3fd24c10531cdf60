"""References to secrets in the value of a variable: `${ssm:/name}`, `${secret:name}`, `${env:NAME}`.

A reference may stand anywhere in a value, more than once. `${secret:name#key}` is one key of a secret that
is a JSON object. `$${` is a `${` that is no reference; every other dollar sign is itself.
"""

from __future__ import annotations

import re

from msgspec import Struct

from portway.config.stages import Variable
from portway.errors import BadValue, nearest

KINDS = ("ssm", "secret", "env")

_FORMS = "${ssm:/NAME}, ${secret:NAME}, ${secret:NAME#KEY} or ${env:NAME}"
_MARK = re.compile(r"\$\$\{|\$\{([^{}]*)(\}?)")


class Reference(Struct, frozen=True):
    """One reference.

    Attributes:
        kind: "ssm" (a parameter of AWS Systems Manager), "secret" (AWS Secrets Manager) or "env".
        name: What is referred to.
        key: A key of the JSON object that a secret is, or "".
    """

    kind: str
    name: str
    key: str = ""

    def __str__(self) -> str:
        """Return the reference as it is written."""
        return f"${{{self.kind}:{self.name}{self.key and '#' + self.key}}}"


def parts_of(variable: Variable) -> tuple[str | Reference, ...]:
    """Return the text and the references of a variable in their order.

    What an environment file holds is text, whatever is in it: a password may contain a dollar sign.

    Raises:
        BadValue: A reference is not well formed.
    """
    if variable.file:
        return (variable.text,)
    parts: list[str | Reference] = []
    position = 0
    for mark in _MARK.finditer(variable.text):
        parts.append(variable.text[position : mark.start()])
        position = mark.end()
        parts.append("${" if mark[1] is None else _reference(variable, mark))
    parts.append(variable.text[position:])
    return tuple(part for part in parts if part != "")


def _reference(variable: Variable, mark: re.Match[str]) -> Reference:
    kind, colon, name = mark[1].partition(":")
    name, hash_sign, key = name.partition("#") if kind == "secret" else (name, "", "")
    if kind in KINDS and colon and name and mark[2] and bool(hash_sign) == bool(key):
        return Reference(kind, name, key)
    close = nearest(kind, KINDS) if colon and kind not in KINDS else None
    meant = f"{close}:{name}" if close else f"env:{kind}"
    guessed = mark[2] and (close or (not colon and re.fullmatch(r"\w+", kind) and kind not in KINDS))
    hint = f"did you mean ${{{meant}}}?" if guessed else f"{_FORMS}; a ${{ that is text is $${{."
    problem = "must hold references of a known form"
    raise BadValue(variable.name, mark[0], problem, source=f"of {variable.place}", hint=hint)
