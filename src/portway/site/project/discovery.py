"""Which application a folder holds, for those who have not said it: `portway dev` and `portway init`.

Looked at are the files and packages where applications usually are, by what they say (`source`). Every
candidate has a reason that can be shown, and the choice among them has a fixed order:

    1  an object that a framework's class or function makes, called app or application
    2  any other object called app or application
    3  a framework's object under another name
    4  a factory: create_app, make_app, or a function that returns a framework's object
    5  app or application, imported from elsewhere
    6  a Lambda handler
    7  a file with a usual name that is no valid Python at the moment

and among equals: manage.py's, then files in the folder, then packages, then files under other names.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from portway.apps.find import NAMES
from portway.apps.importing import package_root
from portway.errors import AppNotFound, UsageError, plain
from portway.site.project.source import Found, Module, assigned, read_module, statements

STEMS = (
    *("app", "main", "wsgi", "asgi", "application", "server", "api", "web", "index", "run", "site"),
    *("lambda_function", "handler", "function"),
)
"""Names of files, without their ending, that usually hold an application; the first go before the others."""

MANAGE = "manage.py"
SETTINGS_VARIABLE = "DJANGO_SETTINGS_MODULE"

_NOT_LOOKED_INTO = frozenset(
    {"tests", "test", "docs", "doc", "migrations", "node_modules", "build", "dist", "venv", "env", "scripts"}
    | {"site-packages", "__pycache__", "static", "templates", "examples", "bench"}
)
_NOT_APPLICATIONS = frozenset({"setup", "conftest", "noxfile", "tasks", "fabfile", "gunicorn.conf", "manage"})
_MOST_FILES = 300
_MOST_SHOWN = 4

_MANAGE, _FOLDER, _PACKAGE, _OTHER = range(4)


class Candidate(Struct, frozen=True):
    """Something that may be the application.

    Attributes:
        target: What APP would name it: "app:app", "src/site/main.py:app".
        framework: "Flask", "WSGI" …; "" when that cannot be seen.
        file: The file that it is in, relative to the folder.
        line: Where, from 1.
        kind: As in `source.Found`; "broken" for a file that is no valid Python.
        rank: How good a candidate it is; the smallest is the best.
        settings: The settings module of a Django project that manage.py names, or "".
    """

    target: str
    framework: str
    file: str
    line: int
    kind: str
    rank: tuple[int, int, int, int]
    settings: str = ""

    @property
    def what(self) -> str:
        """What it is and where, for people: "Flask, app.py line 3"."""
        if self.kind == "broken":
            return f"{plain(self.file)}, which is not valid Python at the moment"
        kind = {"factory": " made by a function", "imported": "imported", "handler": " handler"}.get(
            self.kind, ""
        )
        title = (self.framework + kind).strip() or "an object of that name"
        return f"{title}, {plain(self.file)} line {self.line}"


class Choice(Struct, frozen=True):
    """The application that was chosen, and what else there is, best first."""

    chosen: Candidate
    others: tuple[Candidate, ...]


def choose(folder: Path) -> Choice:
    """Return the application of a folder.

    Raises:
        AppNotFound: There is none.
        UsageError: There are several, and nothing tells which is meant.
    """
    found = candidates(folder)
    if not found:
        raise AppNotFound(
            "",
            f"no application was found in {plain(str(folder))}",
            'name it: `portway dev module:attr`, or app = "module:attr" in portway.toml.',
        )
    best, *others = found
    rivals = [one for one in others if one.rank[:3] == best.rank[:3] and one.file == best.file]
    if rivals and best.rank[0] == 3:
        names = " and ".join(one.target for one in (best, *rivals[: _MOST_SHOWN - 1]))
        raise UsageError(
            f"several applications were found: {names}", f"name one: `portway dev {best.target}`."
        )
    return Choice(best, tuple(others))


def candidates(folder: Path) -> list[Candidate]:
    """Return whatever may be the application of a folder, best first."""
    found: list[Candidate] = []
    django = _django(folder)
    if django:
        found.append(django)
    for path, place, order in _files(folder):
        module = read_module(path)
        if module is None:
            continue
        if module.tree is None and order < len(STEMS):
            found.append(_broken(folder, path, place, order))
        for one in module.found:
            if place == _OTHER and one.kind in ("imported", "handler"):
                continue
            found.append(_candidate(folder, module, one, place, order))
    unique: dict[str, Candidate] = {}
    for candidate in sorted(found, key=lambda one: one.rank):
        unique.setdefault(candidate.target, candidate)
    return list(unique.values())


def modules(folder: Path) -> list[Module]:
    """Return every file that is looked at, read."""
    paths = [folder / MANAGE, *(path for path, _, _ in _files(folder))]
    return [module for module in map(read_module, paths) if module is not None]


def _rank(found: Found) -> int:
    if found.kind == "object":
        if found.name not in NAMES:
            return 3
        return 1 if found.framework else 2
    return {"factory": 4, "imported": 5, "handler": 6}[found.kind]


def _candidate(folder: Path, module: Module, found: Found, place: int, order: int) -> Candidate:
    file = os.path.relpath(module.path, folder)
    name = f"{found.name}()" if found.kind == "factory" else found.name
    return Candidate(
        f"{_place(folder, module.path, module)}:{name}",
        found.framework,
        file,
        found.line,
        found.kind,
        (_rank(found), place, order, NAMES.index(found.name) if found.name in NAMES else len(NAMES)),
    )


def _broken(folder: Path, path: Path, place: int, order: int) -> Candidate:
    file = os.path.relpath(path, folder)
    return Candidate(_place(folder, path, None), "", file, 1, "broken", (7, place, order, 0))


def _place(folder: Path, path: Path, module: Module | None) -> str:
    """Return how APP names a file: as a module where it can be imported from the folder, else as a path."""
    root, name, _ = package_root(path)
    parts = name.split(".")
    if root != folder and path.parent.parent == folder and _imports_itself(module, path.parent.name):
        root, parts = folder, [path.parent.name, name]  # a package without __init__.py
    usable = root == folder and all(part.isidentifier() for part in parts)
    if usable and not _is_taken(parts[0], folder):
        return ".".join(parts)
    return os.path.relpath(path, folder)


def _is_taken(name: str, folder: Path) -> bool:
    """Whether importing that name could find something else: `site.py` in a folder."""
    import sys

    return name in sys.stdlib_module_names


def _imports_itself(module: Module | None, package: str) -> bool:
    names = module.imports.values() if module else ()
    return any(name.startswith((f"{package}.", ".")) for name in names)


def _files(folder: Path) -> Iterator[tuple[Path, int, int]]:
    """Yield the files to look at, with their place and their order among the files of that place."""
    count = 0
    for path, place, order in _all_files(folder):
        count += 1
        if count > _MOST_FILES:
            return
        yield path, place, order


def _all_files(folder: Path) -> Iterator[tuple[Path, int, int]]:
    for order, stem in enumerate(STEMS):
        if (folder / f"{stem}.py").is_file():
            yield folder / f"{stem}.py", _FOLDER, order
    for package in (*_packages(folder), *_packages(folder / "src")):
        for order, stem in enumerate((*STEMS, "__init__")):
            if (package / f"{stem}.py").is_file():
                yield package / f"{stem}.py", _PACKAGE, order
    for path in sorted(_listed(folder)):
        if path.suffix == ".py" and path.stem not in STEMS and _may_be_application(path):
            yield path, _OTHER, len(STEMS)


def _may_be_application(path: Path) -> bool:
    stem = path.stem
    return not (stem in _NOT_APPLICATIONS or stem.startswith(("test_", ".", "_")) or stem.endswith("_test"))


def _packages(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in _listed(folder)
        if path.name not in _NOT_LOOKED_INTO
        and not path.name.startswith((".", "_"))
        and path.is_dir()
        and not (path / "pyvenv.cfg").exists()
        and path.name != "src"
    )


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


# -- Django ----------------------------------------------------------------------------------------------


def _django(folder: Path) -> Candidate | None:
    """Return the application of the Django project whose manage.py is in the folder."""
    module = read_module(folder / MANAGE)
    if module is None or module.tree is None:
        return None
    found = settings_named(module)
    if found is None:
        return None
    name, line = found
    settings = _module_file(folder, name)
    target = settings and _declared_application(settings)
    package = name.split(".")[0]
    if not target:
        beside = next((one for one in ("wsgi", "asgi") if (folder / package / f"{one}.py").is_file()), "")
        target = f"{package}.{beside}.application" if beside else ""
    if not target:
        return None
    place, _, attribute = target.rpartition(".")
    return Candidate(f"{place}:{attribute}", "Django", MANAGE, line, "object", (1, _MANAGE, 0, 0), name)


def settings_named(module: Module) -> tuple[str, int] | None:
    """Return the settings module that a file sets DJANGO_SETTINGS_MODULE to, and the line."""
    for node in ast.walk(module.tree) if module.tree else ():
        if isinstance(node, ast.Call) and len(node.args) == 2:
            texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
            if len(texts) == 2 and texts[0] == SETTINGS_VARIABLE and isinstance(texts[1], str):
                return texts[1], node.lineno
    return None


def _module_file(folder: Path, name: str) -> Module | None:
    base = folder.joinpath(*name.split("."))
    return read_module(base.with_suffix(".py")) or read_module(base / "__init__.py")


def _declared_application(settings: Module) -> str:
    """Return what ASGI_APPLICATION or else WSGI_APPLICATION is in the settings, or ""."""
    declared = {}
    for node in statements(settings.tree.body if settings.tree else ()):
        for name, value in assigned(node):
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                declared[name] = value.value
    return declared.get("ASGI_APPLICATION") or declared.get("WSGI_APPLICATION", "")
