"""What an application imports of installed packages before any code of its own has run.

A source file begins with statements that do nothing but import, define and name things. As long as only
such statements have run, every import of an installed package happens as it would in a process that does
nothing else: so it may have been done before, in a process that is forked (`warm`), and the result is the
same. The first statement of the project's own that could do anything else ends that, and what is imported
after it is not told.
"""

from __future__ import annotations

import ast
import builtins
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import Any

from msgspec import Struct

from portway.server.developing.frames import installed_places
from portway.server.messages import Step

_OWN = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..")) + os.sep
_CALM = (ast.Constant, ast.Name, ast.Attribute, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.UnaryOp)
_GRAMMAR = (ast.expr_context, ast.unaryop)


class State(Struct, frozen=True):
    """What an import may depend on, besides what has been imported."""

    environ: Mapping[str, str]
    directory: str
    path: tuple[str, ...]

    @classmethod
    def now(cls) -> State:
        """Return this process's."""
        return cls(dict(os.environ), os.getcwd(), tuple(sys.path))

    def restore(self) -> None:
        """Make this process's so again."""
        for name in os.environ.keys() - self.environ.keys():
            del os.environ[name]
        os.environ.update(self.environ)
        os.chdir(self.directory)
        sys.path[:] = self.path


class Warmth(Struct, frozen=True):
    """What a process has imported ahead of the application.

    Attributes:
        state: In which state.
        steps: What the application did to import the same when it was last seen.
    """

    state: State
    steps: tuple[Step, ...]


class Observer:
    """Sees the project's imports until its own code begins. A context manager, around what loads it.

    Args:
        warmth: What has been imported already, or None.
        unfit: Called when the application does anything else than it did then; does not return.
    """

    def __init__(self, warmth: Warmth | None, unfit: Callable[[str], None]) -> None:
        self._warmth = warmth
        self._unfit = unfit
        self._original = builtins.__import__
        self._open = True
        self._steps: list[Step] = []

    def __enter__(self) -> Observer:
        installed_places()  # now: finding them out imports something, from Python 3.14 on
        builtins.__import__ = self._import
        return self

    def __exit__(self, *exception: object) -> None:
        if builtins.__import__ == self._import:
            builtins.__import__ = self._original
        if exception[0] is None:
            self._close()

    @property
    def steps(self) -> tuple[Step, ...]:
        """What was seen."""
        return tuple(self._steps)

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if self._open and globals is not None:
            file = globals.get("__file__")
            if isinstance(file, str) and not is_installed(file):
                return self._observe(file, name, globals, locals, fromlist, level)
        return self._original(name, globals, locals, fromlist or (), level)

    def _observe(
        self,
        file: str,
        name: str,
        globals: Mapping[str, Any],
        locals: Mapping[str, Any] | None,
        fromlist: Sequence[str] | None,
        level: int,
    ) -> ModuleType:
        names = tuple(fromlist or ())
        frame = sys._getframe(2)
        if frame.f_code.co_name != "<module>" or frame.f_lineno > calm_lines(file):
            self._close()
            return self._original(name, globals, locals, names, level)
        number = len(self._steps)
        self._steps.append(Step(file, name, names, level))
        self._compare(number)
        before = set(sys.modules)
        try:
            module = self._original(name, globals, locals, names, level)
        except BaseException:
            self._close()
            raise
        if self._open:
            installed = level == 0 and _is_installed_module(sys.modules.get(name.partition(".")[0]))
            self._steps[number] = Step(file, name, names, level, installed)
            if not all(map(_is_calm, sys.modules.keys() - before)):
                self._close()
        return module

    def _compare(self, number: int) -> None:
        if self._warmth is None or number >= len(self._warmth.steps):
            return
        if number == 0 and State.now() != self._warmth.state:
            self._unfit("the environment is another one")
        if not self._steps[number].same(self._warmth.steps[number]):
            self._unfit(f"it imports {self._steps[number].name} now")

    def _close(self) -> None:
        if self._open and self._warmth is not None and len(self._steps) < len(self._warmth.steps):
            self._unfit("it imports less than before")
        self._open = False


@cache
def is_installed(file: str) -> bool:
    """Whether a file belongs to the standard library, an installed package, or Portway."""
    path = os.path.realpath(file)
    return path.startswith(_OWN) or any(path.startswith(place + os.sep) for place in installed_places())


def _is_installed_module(module: ModuleType | None) -> bool:
    if module is None:
        return False
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        return is_installed(file)
    places = list(getattr(module, "__path__", ()))  # a namespace; without one, it is part of the interpreter
    return all(is_installed(os.path.join(place, "")) for place in places)


def own_modules(names: Iterable[str]) -> list[str]:
    """Return those of some loaded modules that are no installed ones."""
    return [name for name in names if not _is_installed_module(sys.modules.get(name))]


def _is_calm(name: str) -> bool:
    """Whether a module that has been imported is an installed one, or has done nothing by itself."""
    module = sys.modules.get(name)
    if module is None or _is_installed_module(module):
        return module is not None
    file = getattr(module, "__file__", None)
    return file is None or calm_lines(file) == sys.maxsize


@cache
def calm_lines(file: str) -> int:
    """Return the last line before a file's own code begins; sys.maxsize where it never does."""
    try:
        with open(file, "rb") as source:
            tree = ast.parse(source.read())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return 0
    last = 0
    for node in tree.body:
        if not _does_nothing(node):
            return last
        last = node.end_lineno or node.lineno
    return sys.maxsize


def _does_nothing(node: ast.stmt) -> bool:
    """Whether a statement cannot have an effect beyond its module, but for what it imports."""
    match node:
        case ast.Import() | ast.ImportFrom() | ast.Pass():
            return True
        case ast.Expr(ast.Constant()):
            return True
        case ast.Assign(targets, value):
            return _is_inert(value) and all(isinstance(target, ast.Name) for target in targets)
        case ast.AnnAssign(ast.Name(), annotation, value):
            return _calls_nothing(annotation) and (value is None or _is_inert(value))
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            defaults = (*node.args.defaults, *(one for one in node.args.kw_defaults if one is not None))
            hints = [one.annotation for one in ast.walk(node.args) if isinstance(one, ast.arg)]
            return (
                not node.decorator_list
                and all(map(_is_inert, defaults))
                and all(_calls_nothing(one) for one in (*hints, node.returns) if one is not None)
            )
        case ast.If(test, body, otherwise):
            return _calls_nothing(test) and all(map(_does_nothing, (*body, *otherwise)))
        case _:
            return False


def _is_inert(node: ast.expr) -> bool:
    return all(isinstance(one, (*_CALM, *_GRAMMAR)) for one in ast.walk(node))


def _calls_nothing(node: ast.expr) -> bool:
    busy = (ast.Call, ast.Await, ast.NamedExpr, ast.Yield, ast.YieldFrom, ast.ListComp, ast.GeneratorExp)
    return not any(isinstance(one, busy) for one in ast.walk(node))
