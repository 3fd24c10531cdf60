"""The shape of the package: rooms import upwards only, no cycle, and every module stands alone."""

from __future__ import annotations

import ast
import functools
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src"
PACKAGE = "portway"
# A room imports only rooms that stand before it. The package itself imports none of them.
ROOMS = (
    "errors",
    "config",
    "engine",
    "protocols",
    "awslambda",
    "apps",
    "site",
    "server",
    "deploy",
    "network",
    "cost",
    "moving",
    "cli",
    "embedding",
    "testing",
    "__main__",
)
# The package itself offers names of its rooms, each loaded when it is first used: see below.
FACADE = PACKAGE
# The Lambda runtime has no compiled engine, so this room does without it and what is built on it.
LAMBDA_ROOM = "awslambda"
LAMBDA_AVOIDS = ("engine", "protocols", "server")

CYTHON_IMPORT = re.compile(
    r"^\s*(?:from\s+(?P<source>[\w.]+)\s+c?import\s+(?P<names>[\w \t,*()]+)"
    r"|c?import\s+(?P<whole>[\w. \t,]+))",
    re.MULTILINE,
)


def module_name(path: Path) -> str:
    """Return the dotted name of the module whose source, stub or declarations `path` is."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources() -> dict[str, list[Path]]:
    """Return the files of every module: its .py or .pyx, with the .pyi and .pxd beside it."""
    found: dict[str, list[Path]] = {}
    for path in sorted((SOURCE / PACKAGE).rglob("*")):
        if path.suffix in {".py", ".pyx", ".pyi", ".pxd"}:
            found.setdefault(module_name(path), []).append(path)
    return found


FILES = sources()
MODULES = sorted(name for name, paths in FILES.items() if any(p.suffix in {".py", ".pyx"} for p in paths))


def python_imports(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (module, names taken from it) for each import of a file, wherever in it the import stands."""
    name = module_name(path)
    package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            yield source, tuple(alias.name for alias in node.names)


def cython_imports(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the same for a Cython file, by its `import` and `cimport` lines (absolute ones only)."""
    for match in CYTHON_IMPORT.finditer(path.read_text()):
        if match["source"]:
            yield match["source"], tuple(re.findall(r"[\w*]+", match["names"]))
        else:
            yield from ((whole.split()[0], ()) for whole in match["whole"].split(","))


def targets(path: Path) -> Iterator[str]:
    """Yield the modules of this package that a file imports, each by its own full name."""
    read = python_imports if path.suffix in {".py", ".pyi"} else cython_imports
    for source, names in read(path):
        if source.split(".")[0] != PACKAGE:
            continue
        submodules = [f"{source}.{name}" for name in names if f"{source}.{name}" in FILES]
        yield from submodules
        if len(submodules) < len(names) or not names:
            yield source


def room(name: str) -> str | None:
    """Return the room of a module, None for the package itself."""
    _, _, inside = name.partition(".")
    return inside.split(".")[0] or None


@functools.cache
def edges() -> frozenset[tuple[str, str]]:
    """Return every (importing module, imported module) inside the package."""
    return frozenset(
        (name, target)
        for name, paths in FILES.items()
        if name != FACADE
        for path in paths
        for target in targets(path)
    )


def test_importing_the_package_imports_nothing_of_it() -> None:
    program = f"import sys, {PACKAGE}; print([name for name in sys.modules if name.startswith('{PACKAGE}.')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_package_offers_what_it_says() -> None:
    program = f"import {PACKAGE} as p; print([type(getattr(p, name)).__name__ for name in p.__all__])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "['type', 'str', 'function', 'module']\n"


def test_the_walk_sees_the_package() -> None:
    assert {f"{PACKAGE}.errors", f"{PACKAGE}.config.settings"} <= set(MODULES)
    assert any(room(name) == "cli" and room(target) == "config" for name, target in edges())


def test_every_module_belongs_to_a_room() -> None:
    assert {room(name) for name in FILES} - {None} <= set(ROOMS)


def test_every_import_names_a_module_that_exists() -> None:
    assert sorted(edge for edge in edges() if edge[1] not in FILES) == []


def test_rooms_import_upwards_only() -> None:
    def height(name: str) -> int:
        inside = room(name)
        return ROOMS.index(inside) if inside else -1

    assert sorted(edge for edge in edges() if height(edge[1]) > height(edge[0])) == []


def test_no_module_imports_itself_through_others() -> None:
    graph: dict[str, set[str]] = {}
    for name, target in edges():
        if name != target:  # a unit cimports its own declarations
            graph.setdefault(name, set()).add(target)
    graphlib.TopologicalSorter(graph).prepare()


def test_the_lambda_room_needs_no_engine() -> None:
    reached, waiting = set(), [name for name in FILES if room(name) == LAMBDA_ROOM]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting += [target for source, target in edges() if source == name and target not in reached]
    assert sorted(name for name in reached if room(name) in LAMBDA_AVOIDS) == []


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith(".__main__")])
def test_module_imports_alone_without_a_warning(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import {name}"],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
