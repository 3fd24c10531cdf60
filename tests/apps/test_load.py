"""Finding, importing and making applications from real files."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portway.apps import SingleCallable, load

Write = Callable[[str, str], Path]

WSGI = "def app(environ, start_response): return []\n"
ASGI = "async def app(scope, receive, send): pass\n"


FACTORY = """
def create_app(debug=False):
    return lambda environ, start_response: []
"""
ASYNC_FACTORY = """
def make_app():
    async def app(scope, receive, send): pass
    return app
"""
WITH_ARGUMENTS = """
def make(a, b=0):
    assert (a, b) == ("x", 2)
    return lambda environ, start_response: []
"""
NESTED = """
class Site:
    async def inner(scope, receive, send): pass
class Top:
    site = Site
"""
TWO_STEPS = """
def app(scope):
    async def run(receive, send): pass
    return run
"""
CLASS = """
class app:
    def __call__(self, environ, start_response): return []
"""


@pytest.mark.parametrize(
    ("source", "target", "label", "name"),
    [
        (WSGI, "one:app", "WSGI", "one:app"),
        (ASGI, "one:app", "ASGI 3", "one:app"),
        (WSGI, "one", "WSGI", "one:app"),
        (WSGI.replace("app", "application", 1), "one", "WSGI", "one:application"),
        (FACTORY, "one", "WSGI", "one:create_app()"),
        (FACTORY, "one:create_app", "WSGI", "one:create_app()"),
        (ASYNC_FACTORY, "one", "ASGI 3", "one:make_app()"),
        (WITH_ARGUMENTS, "one:make('x', b=2)", "WSGI", "one:make()"),
        (NESTED, "one:Top.site.inner", "ASGI 3", "one:Top.site.inner"),
        (TWO_STEPS, "one:app", "ASGI 2", "one:app"),
        (CLASS, "one", "WSGI", "one:app()"),
    ],
)
def test_found(write: Write, source: str, target: str, label: str, name: str) -> None:
    write("one.py", source)
    application = load(target)
    assert (application.label, application.name) == (label, name)
    assert application.interface == ("wsgi" if label == "WSGI" else "asgi")
    assert callable(application.app)


def test_files(write: Write) -> None:
    write("sub/my-app.py", WSGI)
    assert load("sub/my-app.py").name == "sub/my-app.py:app"
    assert load("./sub/my-app.py:app").interface == "wsgi"


def test_a_file_named_like_a_module_of_the_standard_library(write: Write) -> None:
    path = write("site.py", WSGI + "here = __file__")
    application = load("site.py")
    assert application.app.__globals__["here"] == str(path)
    assert sys.modules["site"].__file__ != str(path)


def test_a_file_imports_its_neighbours(write: Write) -> None:
    write("sub/neighbour.py", "value = 1")
    write("sub/one_file.py", "import neighbour\n" + WSGI)
    assert load("sub/one_file.py").interface == "wsgi"


def test_a_file_of_a_package_is_imported_as_its_member(write: Write) -> None:
    write("src/package_of_site/__init__.py", "")
    write("src/package_of_site/inner/__init__.py", ASGI)
    write("src/package_of_site/inner/views.py", "from . import app")
    assert load("src/package_of_site/inner/views.py:app").app.__module__ == "package_of_site.inner"
    assert load("src/package_of_site/inner/__init__.py:app").interface == "asgi"


def test_a_class_defined_in_a_file_can_be_pickled(write: Write) -> None:
    write("lone_file.py", "import pickle\nclass A: pass\nassert pickle.loads(pickle.dumps(A)) is A\n" + WSGI)
    assert load("lone_file.py").interface == "wsgi"


def test_loading_twice_imports_once(write: Write) -> None:
    write("lone_twice.py", WSGI)
    assert load("lone_twice.py").app is load("lone_twice.py").app


def test_chdir(write: Write, tmp_path: Path) -> None:
    write("service/service_app.py", "import os\nwhere = os.getcwd()\n" + WSGI)
    application = load("service_app:app", chdir=str(tmp_path / "service"))
    assert application.app.__globals__["where"] == str(tmp_path / "service")
    assert Path.cwd() == tmp_path / "service"


def test_env_file_reaches_the_application_and_never_overrules_the_environment(write: Write) -> None:
    write(".env", "OF_FILE=file\nOF_BOTH=file\n")
    write("env_app.py", "import os\nseen = (os.environ['OF_FILE'], os.environ['OF_BOTH'])\n" + WSGI)
    os.environ["OF_BOTH"] = "environment"
    assert load("env_app", env_file=".env").app.__globals__["seen"] == ("file", "environment")


def test_interface_overrules_what_is_found(write: Write) -> None:
    write("one.py", "def app(*args): return args\ndef two(x):\n    return app\n")
    assert load("one:app", interface="wsgi").interface == "wsgi"
    assert load("one:app", interface="asgi").label == "ASGI 3"
    assert isinstance(load("one:two", interface="asgi2").app, SingleCallable)


def test_factory_is_called_whatever_it_takes(write: Write) -> None:
    write("one.py", "def make(*args):\n    return lambda environ, start_response: args\n")
    application = load("one:make", factory=True)
    assert application.app({}, None) == ()
    assert application.name == "one:make()"


def test_factory_option_looks_for_factories_first(write: Write) -> None:
    write("one.py", WSGI + "def create_app():\n    return app\n")
    assert load("one", factory=True).name == "one:create_app()"
    assert load("one").name == "one:app"


def test_asgi2_applications_are_called_in_two_steps() -> None:
    seen: list[object] = []

    def app(scope: Any) -> Any:
        async def run(receive: Any, send: Any) -> None:
            seen.extend([scope, receive, send])

        return run

    scope: dict[str, Any] = {"type": "http"}
    asyncio.run(SingleCallable(app)(scope, print, len))  # type: ignore[arg-type]
    assert seen == [scope, print, len]


def test_annotations_are_never_evaluated(write: Write) -> None:
    write(
        "one.py",
        "def app(environ, start_response): return []\ndef make(x: Missing = 0) -> Gone: return app\n",
    )
    write(
        "two.py",
        "from __future__ import annotations\nasync def app(scope: A, receive: B, send: C) -> D: pass\n",
    )
    assert load("two").interface == "asgi"
    if sys.version_info >= (3, 14):  # before it, such a module cannot be imported at all
        assert load("one:make").interface == "wsgi"
