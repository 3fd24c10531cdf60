"""Applications that cannot be served: not found, not importable, or none at all."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portway.apps import load
from portway.errors import AppError, AppImportError, AppNotFound, NotAnApplication

Write = Callable[[str, str], Path]

WSGI = "def app(environ, start_response): return []\n"


def failure(target: str, kind: type[AppError], **options: Any) -> AppError:
    with pytest.raises(kind) as caught:
        load(target, **options)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400
    assert type(caught.value) is kind
    return caught.value


NAMED = """
from wsgiref.simple_server import demo_app
from os.path import join
website = lambda environ, start_response: []
_x = website
"""
NONE_OF = "has none of app, application, create_app, make_app, handler, lambda_handler"
FROM_HERE = "name it from the directory the command runs in, or set --chdir."


@pytest.mark.parametrize(
    ("target", "text", "hint"),
    [
        ("nowhere:app", "no module 'nowhere' in ", FROM_HERE),
        ("nowhere.inner:app", "no module 'nowhere' in ", FROM_HERE),
        ("aplication:app", "no module 'aplication' in ", "did you mean application?"),
        (
            "application.app",
            "no module 'application.app' in ",
            "for an attribute of a module, write application:app.",
        ),
        ("application:ap", "'application' has no attribute 'ap'", "did you mean application:app?"),
        (
            "application:Site.inn",
            "'application:Site' has no attribute 'inn'",
            "did you mean application:Site.inner?",
        ),
        (
            "application:zzz",
            "'application' has no attribute 'zzz'",
            "did you mean application:app or application:other?",
        ),
        ("named", f"'named' {NONE_OF}", "did you mean named:website?"),
        ("blank", f"'blank' {NONE_OF}", "name the attribute: blank:NAME."),
        ("aplication.py", "no file 'aplication.py'", "did you mean application.py?"),
        ("application:Site.zzz", "'application:Site' has no attribute 'zzz'", "it has inner."),
        ("no/such/file.py", "no file 'no/such/file.py'", FROM_HERE),
        ("folder.py", "no file 'folder.py'", FROM_HERE),
        ("x" * 400 + ".py", "no file 'xxx", FROM_HERE),
        ("/:app", "'/' is not the name of a module", "the path of a file must end with .py."),
    ],
)
def test_not_found(write: Write, target: str, text: str, hint: str | None) -> None:
    write("application.py", WSGI + "other = app\nclass Site:\n    inner = 1\n")
    write("named.py", NAMED)
    write("blank.py", "app = 3\n")
    write("folder.py/x", "")
    error = failure(target, AppNotFound)
    assert (str(error)[: len(text)], error.hint, error.exit_code) == (text, hint, 1)


UNPRINTABLE = """
class E(Exception):
    def __str__(self): raise RuntimeError
raise E
"""
DEEP = """
def f():
    raise ValueError("bad\\nnews")
f()
"""


@pytest.mark.parametrize(
    ("source", "problem", "frames"),
    [
        ("import no_such_thing", "ModuleNotFoundError: No module named 'no_such_thing'", ["one.py"]),
        ("import one.deeper", "ModuleNotFoundError: No module named 'one.deeper'", ["one.py"]),
        (DEEP, "ValueError: bad", ["one.py", "one.py"]),
        ("import sys\nsys.exit(4)", "SystemExit: 4", ["one.py"]),
        ("def app(:", "SyntaxError: ", ["one.py"]),
        ("x = 1\n  y = 2", "IndentationError: ", ["one.py"]),
        ("x = '\x00'", "", []),
        (UNPRINTABLE, "E: its text cannot be shown", ["one.py"]),
        (
            "raise ValueError('\\x1b[2J' + 'x' * 9999)",
            "ValueError: \N{REPLACEMENT CHARACTER}[2Jxxx",
            ["one.py"],
        ),
        ("def f(): f()\nf()", "RecursionError: ", ["one.py", "one.py"]),
        ("import neighbour", "KeyError: 'inner'", ["one.py", "neighbour.py"]),
        ("raise ExceptionGroup('two', [ValueError(1)])", "ExceptionGroup: two (1 sub-exception)", ["one.py"]),
    ],
)
def test_import_failure_shows_the_applications_own_traceback(
    write: Write, source: str, problem: str, frames: list[str]
) -> None:
    write("one.py", source)
    write("neighbour.py", "raise KeyError('inner')")
    error = failure("one:app", AppImportError)
    assert str(error).startswith(f"importing 'one' failed: {problem}")
    assert (error.exit_code, error.__cause__ is None) == (3, False)
    lines = [line.strip(" |") for line in error.details.splitlines() if ' File "' in line]
    assert [line.split('"')[1].rpartition("/")[2] for line in lines][: len(frames)] == frames
    assert "importlib" not in error.details and "portway/apps" not in error.details


def test_a_chain_of_exceptions_is_trimmed_throughout(write: Write) -> None:
    write(
        "one.py", "try:\n    import inside\nexcept ValueError as e:\n    raise RuntimeError('outer') from e\n"
    )
    write("inside.py", "raise ValueError('inner')")
    details = failure("one", AppImportError).details
    assert "ValueError: inner" in details and "RuntimeError: outer" in details
    assert "importlib" not in details and "portway/apps" not in details


def test_a_file_that_fails_can_be_tried_again(write: Write) -> None:
    path = write("lone_broken.py", "raise ValueError")
    failure("lone_broken.py", AppImportError)
    assert "lone_broken" not in sys.modules
    path.write_text(WSGI + "# a different length, so that the old bytecode does not count\n")
    assert load("lone_broken.py").interface == "wsgi"


NEITHER = "neither a WSGI nor an ASGI application"
WITH_OTHERS = "function with other parameters"
NO_REPR = "class A:\n    def __repr__(self): raise OSError\napp = A()"
CALLED_SO = "cannot be called so"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("app = 3", f"'one:app' is an object of type 'int', {NEITHER}"),
        ("app = None", f"'one:app' is None, {NEITHER}"),
        ("import os as app", f"'one:app' is a module, {NEITHER}"),
        ("def app(request): pass", f"'one:app' is a {WITH_OTHERS}, {NEITHER}"),
        ("async def app(a, b): pass", f"'one:app' is an async {WITH_OTHERS}, {NEITHER}"),
        ("async def app(a, b, c): yield", f"'one:app' is an async {WITH_OTHERS}, {NEITHER}"),
        ("class app:\n    def __init__(self, name): pass", f"'one:app' is the class 'app', {NEITHER}"),
        (NO_REPR, f"'one:app' is an object of type 'A', {NEITHER}"),
        ("def app(*args): pass", "cannot tell whether 'one:app' is WSGI or ASGI: its parameters do not say"),
        ("def app(): return None", f"'one:app()' is None, {NEITHER}"),
        ("def app(): return app", f"'one:app()' made something that takes no arguments: a {WITH_OTHERS}"),
        ("async def app(): return None", "'one:app' is an async factory"),
    ],
)  # fmt: skip
def test_what_is_no_application(write: Write, source: str, text: str) -> None:
    write("one.py", source)
    error = failure("one:app", NotAnApplication)
    assert (str(error), error.exit_code) == (text, 1)
    assert error.hint


@pytest.mark.parametrize(
    ("source", "target", "text"),
    [
        ("app = 3", "one:app()", "'one:app' is an object of type 'int', not a factory"),
        ("def app(a): pass", "one:app()", f"'one:app' {CALLED_SO}: missing a required argument: 'a'"),
        ("def app(a): pass", "one:app(1, 2)", f"'one:app' {CALLED_SO}: too many positional arguments"),
        ("def app(): pass", "one:app(b=1)", f"'one:app' {CALLED_SO}: got an unexpected keyword argument 'b'"),
    ],
)  # fmt: skip
def test_factories_that_cannot_be_called(write: Write, source: str, target: str, text: str) -> None:
    write("one.py", source)
    assert str(failure(target, NotAnApplication)) == text


@pytest.mark.parametrize(
    ("source", "target", "text"),
    [
        ("def app(): raise KeyError('x')", "one:app", "calling 'one:app' failed: KeyError: 'x'"),
        ("def app():\n    raise SystemExit", "one:app", "calling 'one:app' failed: SystemExit"),
        (
            "def __getattr__(name): raise OSError(name)",
            "one:app",
            "reading 'app' of 'one' failed: OSError: app",
        ),
        ("def __getattr__(name): raise OSError(name)", "one", "reading 'app' of 'one' failed: OSError: app"),
    ],
)
def test_code_of_the_application_that_raises_later(write: Write, source: str, target: str, text: str) -> None:
    write("one.py", source)
    error = failure(target, AppImportError)
    assert str(error) == text
    assert 'one.py", line ' in error.details


@pytest.mark.parametrize("names", ["raise OSError", "return [1, 'why']", "return 3"])
def test_attributes_that_cannot_be_listed(write: Write, names: str) -> None:
    write("one.py", f"class A:\n    def __dir__(self): {names}\nx = A()")
    assert str(failure("one:x.y", AppNotFound)) == "'one:x' has no attribute 'y'"


def test_interrupting_an_import_interrupts(write: Write) -> None:
    write("one.py", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load("one")


def test_a_directory_that_is_gone(tmp_path: Path) -> None:
    error = failure("one:app", AppNotFound, chdir=str(tmp_path / "gone"))
    assert str(error).endswith("gone': no such file or directory")
