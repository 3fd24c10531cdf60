"""Importing the application's module, and showing its own traceback when that fails.

Two failures look alike and must not be mixed up: the module that the user named does not exist (a
typing mistake), and it exists but imports something that does not (its own traceback helps).
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from portway.apps.target import Target
from portway.errors import AppImportError, AppNotFound, nearest, shown

T = TypeVar("T")

FROM_HERE = "name it from the directory the command runs in, or set --chdir."
"""The hint when nothing is near."""

_OWN_DIRECTORY = str(Path(__file__).parent.parent) + os.sep


def import_target(target: Target, directory: Path) -> ModuleType:
    """Return the module that a target names, importing it when it is not loaded yet.

    Puts `directory` (or a file's own import root) first on `sys.path`, as `python file.py` does.

    Args:
        target: What to import.
        directory: The working directory; relative files and modules start here.

    Raises:
        AppNotFound: There is no such module or file.
        AppImportError: Importing it raised.
    """
    if target.file:
        return _import_file(target, directory / target.file)
    _put_first(directory)
    importlib.invalidate_caches()
    return guarded(
        target.text, f"importing {shown(target.module)}", lambda: _import_module(target, directory)
    )


def guarded(target: str, doing: str, action: Callable[[], T]) -> T:
    """Run the application's code; what it raises becomes AppImportError with its own traceback.

    SystemExit counts: an application that calls `sys.exit()` while it is imported has failed to start,
    and the process that imports it has still to say so.
    """
    try:
        return action()
    except AppNotFound:
        raise
    except (Exception, SystemExit) as error:
        hint = "the traceback above is the application's own."
        problem = f"{doing} failed: {summary(error)}"
        raise AppImportError(target, problem, hint, details=own_traceback(error)) from error


def summary(error: BaseException) -> str:
    """Return an exception's type and the first line of its text."""
    try:
        text = str(error)
    except Exception:
        text = "its text cannot be shown"
    name = type(error).__qualname__
    return f"{name}: {shown_line(text)}" if text else name


def shown_line(text: str, limit: int = 200) -> str:
    """Return the first line of a text, without control characters and cut to `limit` characters."""
    line = text.strip().partition("\n")[0]
    line = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def own_traceback(error: BaseException) -> str:
    """Return an exception's traceback without the frames of the import machinery and of Portway.

    What the application called is kept: the last frame is often inside a framework.
    """
    report = traceback.TracebackException.from_exception(error)
    _trim(report, set())
    return "".join(report.format())


def _trim(report: traceback.TracebackException | None, seen: set[int]) -> None:
    if report is None or id(report) in seen:
        return
    seen.add(id(report))
    kept = [frame for frame in report.stack if not _is_machinery(frame.filename)]
    report.stack = traceback.StackSummary.from_list(kept)
    for linked in (report.__cause__, report.__context__, *(report.exceptions or ())):
        _trim(linked, seen)


def _is_machinery(filename: str) -> bool:
    return filename.startswith(("<frozen importlib", _OWN_DIRECTORY)) or Path(filename).parts[-2:] == (
        "importlib",
        "__init__.py",
    )


def put_root_first(target: Target, directory: Path) -> None:
    """Put first on `sys.path` what `import_target` puts there for a target."""
    _put_first(package_root((directory / target.file).resolve())[0] if target.file else directory)


def _put_first(directory: Path) -> None:
    entry = str(directory)
    if sys.path[:1] != [entry]:
        sys.path.insert(0, entry)


def _import_module(target: Target, directory: Path) -> ModuleType:
    try:
        return importlib.import_module(target.module)
    except ModuleNotFoundError as error:
        if not _is_missing(error, target.module):
            raise
        text = f"no module {shown(error.name)} in {shown(str(directory))}"
        raise AppNotFound(target.text, text, _hint(target, directory)) from None


def _is_missing(error: ModuleNotFoundError, module: str) -> bool:
    """Tell whether it is the named module itself (or its package) that is missing."""
    named = error.name is not None and (module + ".").startswith(error.name + ".")
    frames = traceback.extract_tb(error.__traceback__)
    return named and all(_is_machinery(frame.filename) for frame in frames)


def _hint(target: Target, directory: Path) -> str:
    first, _, rest = target.module.partition(".")
    known = _importable(directory)
    if first in known and rest and not target.attribute:
        parent, _, attribute = target.module.rpartition(".")
        return f"for an attribute of a module, write {parent}:{attribute}."
    suggestion = nearest(first, known - {first})
    if suggestion:
        return f"did you mean {suggestion}?"
    return FROM_HERE


def _importable(directory: Path) -> set[str]:
    """Return the modules and packages of a directory; none when it cannot be listed."""
    try:
        packages = {path.name for path in directory.iterdir() if (path / "__init__.py").is_file()}
        return packages | {path.stem for path in directory.glob("*.py") if path.is_file()}
    except OSError:
        return set()


def _import_file(target: Target, path: Path) -> ModuleType:
    if not os.path.isfile(path):
        near = nearest(path.name, [f"{name}.py" for name in _importable(path.parent)])
        raise AppNotFound(
            target.text, f"no file {shown(target.file)}", f"did you mean {near}?" if near else FROM_HERE
        )
    path = path.resolve()
    root, name, packaged = package_root(path)
    _put_first(root)
    importlib.invalidate_caches()
    doing = f"importing {shown(target.file)}"
    if packaged:
        return guarded(target.text, doing, lambda: importlib.import_module(name))
    return guarded(target.text, doing, lambda: _execute(path, name))


def package_root(path: Path) -> tuple[Path, str, bool]:
    """Return the directory to import from, the module's name there, and whether it is in a package."""
    parts = [] if path.stem == "__init__" else [path.stem]
    parent = path.parent
    while (parent / "__init__.py").is_file() and parent.name.isidentifier():
        parts.insert(0, parent.name)
        parent = parent.parent
    packaged = parent != path.parent and all(part.isidentifier() for part in parts)
    return (parent, ".".join(parts), True) if packaged else (path.parent, path.stem, False)


def _execute(path: Path, name: str) -> ModuleType:
    """Import a file that stands alone under its own name, or under another when that is taken.

    A file may be called `site.py` or `my-app.py`; importing those by name finds the standard library's
    module, or nothing.
    """
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path):
        return loaded
    if loaded is not None or name in sys.stdlib_module_names or not name.isidentifier():
        name = f"portway_app_{''.join(c if c.isalnum() else '_' for c in name)}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses and pickle look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module
