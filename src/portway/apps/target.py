"""APP as the user writes it, in its forms `module:attr.sub`, `module:factory("literal")` and
`path/to/file.py[:attr]`. Reading it touches nothing: no import, no file.
"""

from __future__ import annotations

import ast
import re
from typing import Any

from msgspec import Struct

from portway.errors import AppNotFound, shown

FORMS = "APP is module:attr, module:factory() or path/to/file.py[:attr]."
MAX_LENGTH = 1000
"""Characters; Python's own parser has no bound that is safe on every version."""

_FILE = re.compile(r"(.+?\.py)(?::(.*))?", re.DOTALL)


class Call(Struct, frozen=True):
    """The literal arguments of a factory's call form."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Target(Struct, frozen=True):
    """What APP names.

    Attributes:
        text: APP as the user wrote it.
        module: Dotted module name, or "" for a file.
        file: Path of a Python file, or "" for a module.
        attribute: Dotted path inside the module, empty when left out.
        call: The arguments of the call form, None for a plain name.
    """

    text: str
    module: str
    file: str
    attribute: tuple[str, ...]
    call: Call | None

    @property
    def place(self) -> str:
        """The module or file, as messages name it."""
        return self.file or self.module


def parse_target(text: str) -> Target:
    """Return what APP names.

    Raises:
        AppNotFound: It has none of the forms; the text says which part is wrong.
    """
    if not text or not text.isprintable() or len(text) > MAX_LENGTH:
        raise AppNotFound(text, f"{shown(text)} does not name an application", FORMS)
    if match := _FILE.fullmatch(text):
        attribute, call = _attribute(text, match[2])
        return Target(text, "", match[1], attribute, call)
    module, colon, rest = text.partition(":")
    if not all(part.isidentifier() for part in module.split(".")):
        raise AppNotFound(text, f"{shown(module)} is not the name of a module", _module_hint(module))
    attribute, call = _attribute(text, rest if colon else None)
    return Target(text, module, "", attribute, call)


def _module_hint(module: str) -> str:
    if "/" in module or "\\" in module:
        return "the path of a file must end with .py."
    return FORMS


def _attribute(text: str, expression: str | None) -> tuple[tuple[str, ...], Call | None]:
    if expression is None:
        return (), None
    try:
        node = ast.parse(expression.strip(), mode="eval").body
        if isinstance(node, ast.Call):
            return _names(node.func), _call(node)
        return _names(node), None
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        problem = f"{shown(expression)} is neither an attribute nor a call with literal arguments"
        raise AppNotFound(text, problem, FORMS) from None


def _names(node: ast.expr) -> tuple[str, ...]:
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute):
        return (*_names(node.value), node.attr)
    raise ValueError("not a dotted name")


def _call(node: ast.Call) -> Call:
    kwargs = {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords if keyword.arg}
    if len(kwargs) != len(node.keywords):
        raise ValueError("** is not a literal, or a name stands twice")
    return Call(tuple(ast.literal_eval(argument) for argument in node.args), kwargs)
