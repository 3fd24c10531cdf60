"""Which folders of files a project serves by itself, read from its source: for `portway init`.

Flask, Quart      Flask(__name__, static_folder=…, static_url_path=…)
Starlette         app.mount("/static", StaticFiles(directory=…)), Mount("/static", StaticFiles(…)); FastAPI
Litestar          create_static_files_router(path=…, directories=[…]), StaticFilesConfig(…)
Falcon            app.add_static_route("/static", …)
Pyramid           config.add_static_view("static", "package:static")
Bottle            @route("/static/<path:path>") around static_file(path, root=…)
Django            STATIC_URL and STATIC_ROOT, MEDIA_URL and MEDIA_ROOT
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from portway.site.project.literals import Literals
from portway.site.project.source import Module


class StaticFolder(Struct, frozen=True):
    """A folder that a project serves.

    Attributes:
        url: Where, with a slash at both ends: "/static/".
        path: The folder, absolute.
        why: What says so: "StaticFiles in main.py line 12".
        production: Only there is it right: Django's is filled by collectstatic.
    """

    url: str
    path: Path
    why: str
    production: bool = False


def static_folders(module: Module, folder: Path) -> list[StaticFolder]:
    """Return the folders that a module serves and that exist, in the order of the file.

    Args:
        module: The module.
        folder: The project's folder, where relative names start.
    """
    if module.tree is None:
        return []
    literals = Literals(module, folder)
    found: dict[str, StaticFolder] = {}
    for node in ast.walk(module.tree):
        for url, place, line in _served(node, module, literals):
            path = Path(os.path.normpath(folder / place))
            url = "/" + url.strip("/") + "/" if url.strip("/") else "/"
            if path.is_dir() and _is_plain(url):
                name = os.path.relpath(module.path, folder)
                found.setdefault(url, StaticFolder(url, path, f"{name} line {line}"))
    return list(found.values())


def _is_plain(url: str) -> bool:
    """Whether a route's pattern can say it: nothing of a template, no wildcard, no escape."""
    return re.fullmatch(r"/[A-Za-z0-9._~/@+-]*", url, re.ASCII) is not None


def _served(node: ast.AST, module: Module, literals: Literals) -> Iterator[tuple[str, str, int]]:
    """Yield URL, folder and line of what a node serves."""
    if isinstance(node, ast.Call):
        found = _call(node, module, literals)
        if found is not None and found[0] is not None and found[1] is not None:
            yield found[0], found[1], node.lineno
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from _bottle(node, module, literals)


def _call(node: ast.Call, module: Module, literals: Literals) -> tuple[str | None, str | None] | None:
    name = module.full_name(node.func)
    last = name.rpartition(".")[2] or (node.func.attr if isinstance(node.func, ast.Attribute) else "")
    argument = _Arguments(node, literals)
    match last:
        case "Flask" | "Quart" if name.startswith(("flask.", "quart.")):
            return _flask(node, module, argument)
        case "mount" | "Mount":
            inner = argument.node(1, "app")
            if isinstance(inner, ast.Call) and module.full_name(inner.func).endswith("StaticFiles"):
                return argument.text(0, "path"), _Arguments(inner, literals).text(0, "directory")
        case "create_static_files_router" | "StaticFilesConfig":
            folders = argument.node(1, "directories")
            if isinstance(folders, ast.List | ast.Tuple) and len(folders.elts) == 1:
                return argument.text(0, "path"), literals.text(folders.elts[0])
        case "add_static_route":
            return argument.text(0, "prefix"), argument.text(1, "directory")
        case "add_static_view":
            return argument.text(0, "name"), _pyramid(argument.text(1, "path"), module, literals)
    return None


class _Arguments:
    def __init__(self, call: ast.Call, literals: Literals) -> None:
        self._call = call
        self._literals = literals

    def node(self, position: int, name: str) -> ast.expr | None:
        for keyword in self._call.keywords:
            if keyword.arg == name:
                return keyword.value
        return self._call.args[position] if position < len(self._call.args) else None

    def text(self, position: int, name: str) -> str | None:
        return self._literals.text(self.node(position, name))


def _flask(node: ast.Call, module: Module, argument: _Arguments) -> tuple[str | None, str | None] | None:
    given = argument.node(2, "static_folder")
    place = argument.text(2, "static_folder") if given is not None else "static"
    if place is None:  # None, or what cannot be told
        return None
    url = argument.text(1, "static_url_path")
    if url is None:
        if argument.node(1, "static_url_path") is not None:
            return None
        url = os.path.basename(place.rstrip("/"))
    return url, str(module.path.parent / place)  # relative to the module's own folder


def _pyramid(place: str | None, module: Module, literals: Literals) -> str | None:
    """Return the folder of an asset specification: "package:static", or relative to the module."""
    if place is None:
        return None
    package, colon, inside = place.partition(":")
    if not colon:
        return str(module.path.parent / place)
    for parent in module.path.parents:
        if (parent / package.replace(".", "/")).is_dir():
            return str(parent / package.replace(".", "/") / inside)
    return None


def _bottle(
    node: ast.FunctionDef | ast.AsyncFunctionDef, module: Module, literals: Literals
) -> Iterator[tuple[str, str, int]]:
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and module.full_name(call.func) == "bottle.static_file":
            place = _Arguments(call, literals).text(1, "root")
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and decorator.args and place is not None:
                    pattern = literals.text(decorator.args[0]) or ""
                    match = re.fullmatch(r"(/[^<>]*/)<\w+(?::path|:re:.+)?>", pattern)
                    if match:
                        yield match[1], place, node.lineno
