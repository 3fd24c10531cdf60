"""What a Python file says about applications, read from its syntax tree. Nothing is imported or run.

Names are followed through the file's own imports, so `from flask import Flask as F` is seen as `flask.Flask`.
What is made at run time in other ways stays unseen; a name such as `app` is then all there is to go by.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct

from portway.apps.find import FACTORIES, HANDLERS, NAMES

MOST_BYTES = 1 << 20
"""Larger files are no sources that somebody wrote."""

FRAMEWORKS = {
    "flask.Flask": "Flask",
    "quart.Quart": "Quart",
    "fastapi.FastAPI": "FastAPI",
    "fastapi.applications.FastAPI": "FastAPI",
    "starlette.applications.Starlette": "Starlette",
    "litestar.Litestar": "Litestar",
    "litestar.app.Litestar": "Litestar",
    "bottle.Bottle": "Bottle",
    "bottle.default_app": "Bottle",
    "bottle.app": "Bottle",
    "falcon.App": "Falcon",
    "falcon.API": "Falcon",
    "falcon.asgi.App": "Falcon",
    "chalice.Chalice": "Chalice",
    "chalice.app.Chalice": "Chalice",
    "django.core.wsgi.get_wsgi_application": "Django",
    "django.core.asgi.get_asgi_application": "Django",
    "channels.routing.ProtocolTypeRouter": "Django",
    "blacksheep.Application": "BlackSheep",
    "connexion.FlaskApp": "Connexion",
    "connexion.AsyncApp": "Connexion",
}
"""What makes an application, by its full name; the value is the framework's."""

PYRAMID = "Pyramid"
_MAKES_PYRAMID = "make_wsgi_app"
_STATEMENTS = (ast.If, ast.Try, ast.With)

Kind = Literal["object", "factory", "imported", "handler"]


class Found(Struct, frozen=True):
    """A name of a module that may be the application.

    Attributes:
        name: The name.
        kind: What it is: an object, a function that makes one, a name that another module defines, or a
            Lambda handler.
        framework: "Flask", "WSGI", "ASGI", "Lambda", or "" when that cannot be seen.
        line: Where it stands, from 1.
        made: The call that makes it, where there is one.
    """

    name: str
    kind: Kind
    framework: str
    line: int
    made: ast.Call | None = None


class Module(Struct, frozen=True):
    """A file that has been read.

    Attributes:
        path: The file.
        tree: Its syntax tree; None when it is no valid Python.
        imports: Local name → full name of what it stands for.
        found: What may be the application, in the order of the file.
    """

    path: Path
    tree: ast.Module | None
    imports: dict[str, str]
    found: tuple[Found, ...]

    def full_name(self, node: ast.expr) -> str:
        """Return what an expression names, followed through the imports; "" when it is no name."""
        return full_name(node, self.imports)


def read_module(path: Path) -> Module | None:
    """Return what a file says, or None when it cannot be read."""
    try:
        if path.stat().st_size > MOST_BYTES:
            return None
        source = path.read_bytes()
    except OSError:
        return None
    try:
        tree = ast.parse(source, str(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Module(path, None, {}, ())
    imports = _imports(tree)
    return Module(path, tree, imports, tuple(_found(tree, imports)))


def full_name(node: ast.expr, imports: dict[str, str]) -> str:
    """Return the dotted name of an expression with its first part replaced by what was imported as that."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([imports.get(node.id, node.id), *reversed(parts)])


def statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when a module is imported, those inside if, try and with included."""
    for node in body:
        if isinstance(node, ast.If) and _is_main_guard(node.test):
            continue
        yield node
        if isinstance(node, _STATEMENTS):
            yield from statements(node.body)
            if not isinstance(node, ast.With):
                yield from statements(node.orelse)
            if isinstance(node, ast.Try):
                for handler in node.handlers:
                    yield from statements(handler.body)
                yield from statements(node.finalbody)


def assigned(node: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    """Yield the plain names that a statement assigns to, with the value."""
    if isinstance(node, ast.Assign):
        yield from ((target.id, node.value) for target in node.targets if isinstance(target, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
        yield node.target.id, node.value


def _is_main_guard(test: ast.expr) -> bool:
    return any(isinstance(part, ast.Name) and part.id == "__name__" for part in ast.walk(test))


def _imports(tree: ast.Module) -> dict[str, str]:
    """Return what every import of the file binds, wherever it stands: factories import inside."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    names[alias.asname] = alias.name
                else:
                    names[alias.name.partition(".")[0]] = alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            for alias in node.names:
                names[alias.asname or alias.name] = f"{source}.{alias.name}"
    return names


def _found(tree: ast.Module, imports: dict[str, str]) -> Iterator[Found]:
    makers = {**FRAMEWORKS, **_subclasses(tree, imports)}
    seen: dict[str, str] = {}  # name → framework: `app = ProxyFix(app)` is still what it was
    for node in statements(tree.body):
        for name, value in assigned(node):
            framework = _framework(value, imports, makers)
            if isinstance(value, ast.Name) and value.id in seen and name in NAMES:
                framework = seen[value.id]
            if framework or (name in NAMES and name not in seen and _may_be_object(value)):
                seen[name] = framework
                made = value if isinstance(value, ast.Call) else None
                yield Found(name, "object", framework, node.lineno, made)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found = _function(node, imports, makers)
            if found:
                yield found
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = alias.asname or alias.name
                if name in NAMES:
                    yield Found(name, "imported", FRAMEWORKS.get(imports[name], ""), node.lineno)


def _may_be_object(value: ast.expr) -> bool:
    """Leave out what can be seen to be no application: `app = None`, `app = "x"`."""
    return not isinstance(value, ast.Constant | ast.Dict | ast.List | ast.Tuple | ast.Set | ast.JoinedStr)


def _subclasses(tree: ast.Module, imports: dict[str, str]) -> dict[str, str]:
    """Return the file's own classes that derive from a framework's, by name."""
    return {
        node.name: FRAMEWORKS[base]
        for node in statements(tree.body)
        if isinstance(node, ast.ClassDef)
        for base in (full_name(one, imports) for one in node.bases)
        if base in FRAMEWORKS
    }


def _framework(value: ast.expr, imports: dict[str, str], makers: dict[str, str]) -> str:
    """Return the framework whose application an expression makes, or ""."""
    if not isinstance(value, ast.Call):
        return ""
    name = full_name(value.func, imports)
    if name in makers:
        return makers[name]
    if isinstance(value.func, ast.Attribute) and value.func.attr == _MAKES_PYRAMID:
        return PYRAMID
    inside = [one for one in value.args if isinstance(one, ast.Call)]  # middleware around it
    return next(filter(None, (_framework(one, imports, makers) for one in inside)), "")


def _function(
    node: ast.FunctionDef | ast.AsyncFunctionDef, imports: dict[str, str], makers: dict[str, str]
) -> Found | None:
    arguments = node.args
    names = [one.arg for one in (*arguments.posonlyargs, *arguments.args)]
    required = len(names) - len(arguments.defaults)
    is_async = isinstance(node, ast.AsyncFunctionDef)
    if node.name in NAMES:
        if is_async and len(names) == 3:
            return Found(node.name, "object", "ASGI", node.lineno)
        if not is_async and len(names) == 2:
            return Found(node.name, "object", "WSGI", node.lineno)
    if node.name in HANDLERS and not is_async and len(names) == 2:
        return Found(node.name, "handler", "Lambda", node.lineno)
    keywords = sum(default is None for default in arguments.kw_defaults)
    if is_async or required or keywords or node.name.startswith("_"):
        return None
    made = _made_inside(node, imports, makers)
    if made is None:
        return Found(node.name, "factory", "", node.lineno) if node.name in FACTORIES else None
    return Found(node.name, "factory", _framework(made, imports, makers), node.lineno, made)


def _made_inside(
    node: ast.FunctionDef | ast.AsyncFunctionDef, imports: dict[str, str], makers: dict[str, str]
) -> ast.Call | None:
    """Return the call that makes a framework's application in a function that returns something."""
    inner = list(ast.walk(node))
    if not any(isinstance(one, ast.Return) and one.value is not None for one in inner):
        return None
    return next(
        (one for one in inner if isinstance(one, ast.Call) and _framework(one, imports, makers)), None
    )
