"""Values of simple expressions in a syntax tree, paths above all: `BASE_DIR / "static"`. Nothing is run."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import Any

from portway.site.project.source import Module, assigned, statements

_MOST_NODES = 200


class Unknown(Exception):
    """An expression whose value cannot be told without running it."""


class Literals:
    """The values of a module's names and expressions.

    Args:
        module: A module that has been read.
        folder: The working directory its process would have.
    """

    def __init__(self, module: Module, folder: Path) -> None:
        self._module = module
        self._folder = folder
        self.names: dict[str, Any] = {"__file__": str(module.path)}
        for node in statements(module.tree.body if module.tree else ()):
            for name, value in assigned(node):
                try:
                    self.names[name] = self.value(value)
                except Unknown:
                    self.names.pop(name, None)

    def value(self, node: ast.expr) -> Any:
        """Return what an expression is: text, number, Path, list, None.

        Raises:
            Unknown: It cannot be told.
        """
        try:
            if sum(1 for _ in ast.walk(node)) > _MOST_NODES:
                raise Unknown
            return self._value(node)
        except (TypeError, ValueError, AttributeError, IndexError, OSError, RecursionError):
            raise Unknown from None

    def text(self, node: ast.expr | None) -> str | None:
        """Return what an expression is when it is text or a path, else None."""
        if node is None:
            return None
        try:
            value = self.value(node)
        except Unknown:
            return None
        return os.fspath(value) if isinstance(value, str | Path) else None

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value):
                return value
            case ast.Name(name) if name in self.names:
                return self.names[name]
            case ast.List(items) | ast.Tuple(items):
                return [self._value(item) for item in items]
            case ast.BinOp(left, ast.Div(), right):
                return Path(self._value(left)) / self._value(right)
            case ast.BinOp(left, ast.Add(), right):
                return self._text_of(left) + self._text_of(right)
            case ast.JoinedStr(parts):
                return "".join(map(self._part, parts))
            case ast.Attribute(owner, "parent"):
                return self._path(owner).parent
            case ast.Subscript(ast.Attribute(owner, "parents"), index):
                return self._path(owner).parents[self._value(index)]
            case ast.Call(function, arguments, []):
                return self._call(function, arguments)
        raise Unknown

    def _part(self, node: ast.expr) -> str:
        return self._text_of(node.value if isinstance(node, ast.FormattedValue) else node)

    def _text_of(self, node: ast.expr) -> str:
        value = self._value(node)
        if not isinstance(value, str | Path):
            raise Unknown
        return str(value)

    def _path(self, node: ast.expr) -> Path:
        value = self._value(node)
        if not isinstance(value, Path):
            raise Unknown
        return value

    def _call(self, function: ast.expr, arguments: list[ast.expr]) -> Any:
        match self._module.full_name(function):
            case "pathlib.Path" | "pathlib.PurePath":
                return Path(*map(self._text_of, arguments))
            case "pathlib.Path.cwd" | "os.getcwd":
                return self._folder
            case "str" | "os.fspath" | "os.path.normpath":
                return self._text_of(arguments[0])
            case "os.path.join":
                return os.path.join(*map(self._text_of, arguments))
            case "os.path.dirname":
                return os.path.dirname(self._text_of(arguments[0]))
            case "os.path.abspath" | "os.path.realpath":
                return os.path.normpath(self._folder / self._text_of(arguments[0]))
        match function:
            case ast.Attribute(owner, "resolve" | "absolute") if not arguments:
                return self._folder / self._path(owner)
            case ast.Attribute(owner, "joinpath"):
                return self._path(owner).joinpath(*map(self._text_of, arguments))
        raise Unknown
