"""The application named in the environment, and which interface it has."""

from __future__ import annotations

import functools
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from portway.awslambda.errors import AppFailed, BadSetting
from portway.awslambda.loading import interface_of, is_function, load
from portway.awslambda.options import FIELDS, Options

SITE = """
import sys
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"from the environment"]
def make(): return app
class deep: inner = app
def handler(event, context): return "plain"
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module to load, under a name that no other test uses."""
    name = f"site_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(SITE)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    return name


@pytest.mark.parametrize("target", ["{}:app", "{}.app", "{}", "{}:make()", "{}:deep.inner"])
def test_targets(target: str, site: str) -> None:
    assert load(target.format(site)).__name__ == "app"


def test_a_factory(site: str) -> None:
    assert load(f"{site}:make", factory=True).__name__ == "app"


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("no_such_module:app", "no module 'no_such_module'"),
        ("{}:nothing", "has no attribute 'nothing'"),
        ("{}.sub.thing:app", "no module"),
    ],
)
def test_what_is_missing_is_named(target: str, problem: str, site: str) -> None:
    with pytest.raises(AppFailed, match=problem):
        load(target.format(site))


def test_the_applications_own_import_error_comes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site_with_a_bad_import.py").write_text("import a_package_that_is_not_there")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="a_package_that_is_not_there"):
        load("site_with_a_bad_import:app")


def wsgi(environ: Any, start_response: Any) -> None: ...


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


class Callable:
    def __call__(self, environ: Any, start_response: Any) -> None: ...


class AsyncCallable:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    def method(self, environ: Any, start_response: Any) -> None: ...


@functools.wraps(asgi)
def wrapped(*args: Any, **kwargs: Any) -> Any:
    """Hand everything on."""
    return asgi(*args, **kwargs)


@pytest.mark.parametrize(
    ("app", "interface"),
    [
        (wsgi, "wsgi"),
        (asgi, "asgi"),
        (Callable(), "wsgi"),
        (AsyncCallable(), "asgi"),
        (AsyncCallable().method, "wsgi"),
        (wrapped, "asgi"),
        (functools.partial(lambda x, environ, start_response: None, 1), "wsgi"),
        (lambda scope, receive, send: None, "asgi"),
    ],
)
def test_interfaces(app: Any, interface: str) -> None:
    assert interface_of(app) == interface


@pytest.mark.parametrize("framework", ["flask", "django.wsgi", "django.asgi", "fastapi", "starlette"])
def test_interfaces_of_frameworks(framework: str) -> None:
    match framework:
        case "flask":
            import flask

            assert interface_of(flask.Flask(__name__)) == "wsgi"
        case "fastapi":
            import fastapi

            assert interface_of(fastapi.FastAPI()) == "asgi"
        case "starlette":
            from starlette.applications import Starlette

            assert interface_of(Starlette()) == "asgi"
        case "django.wsgi":
            kind = importlib.import_module("django.core.handlers.wsgi").WSGIHandler
            assert interface_of(kind.__new__(kind)) == "wsgi"
        case "django.asgi":
            kind = importlib.import_module("django.core.handlers.asgi").ASGIHandler
            assert interface_of(kind.__new__(kind)) == "asgi"


@pytest.mark.parametrize("app", [None, 5, "app", lambda: None, lambda *args: None, print])
def test_what_is_no_application(app: Any) -> None:
    with pytest.raises(AppFailed):
        interface_of(app)


def test_a_lambda_function_is_told_from_an_application(site: str) -> None:
    assert is_function(load(f"{site}:handler"))
    assert not is_function(load(f"{site}:app"))
    assert not is_function(asgi)


def test_where_an_application_is_expected_a_function_needs_its_names() -> None:
    def odd(request: Any, start: Any) -> None: ...

    def function(event: Any, _context: Any) -> None: ...

    assert is_function(odd) and not is_function(odd, surely=True)
    assert is_function(function, surely=True)


def test_every_option_comes_from_the_environment() -> None:
    given = {
        "PORTWAY_APP": "site:app",
        "PORTWAY_FACTORY": "yes",
        "PORTWAY_INTERFACE": "asgi",
        "PORTWAY_LIFESPAN": "on",
        "PORTWAY_SNAPSTART_LIFESPAN": "snapshot",
        "PORTWAY_ROOT_PATH": "/api/",
        "PORTWAY_RESPONSE_MODE": "stream",
        "PORTWAY_COMPRESS": "off",
        "PORTWAY_DEADLINE_MARGIN": "1.5",
        "PORTWAY_ID_HEADERS": "off",
        "PORTWAY_ACCESS_LOG": "-",
        "PORTWAY_WEBSOCKET_PATH": "/ws",
        "PORTWAY_SIGTERM": "on",
    }
    assert set(given) == {variable for variable, _, _ in FIELDS.values()}
    options = Options({}, given)
    for name, (variable, default, _) in FIELDS.items():
        assert getattr(options, name) != default, variable
    assert (options.root_path, options.deadline_margin, options.factory) == ("/api", 1.5, True)
    assert Options({"root_path": ""}, given).root_path == ""


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORTWAY_FACTORY", "perhaps"),
        ("PORTWAY_INTERFACE", "cgi"),
        ("PORTWAY_ROOT_PATH", "api"),
        ("PORTWAY_DEADLINE_MARGIN", "soon"),
        ("PORTWAY_DEADLINE_MARGIN", "-1"),
        ("PORTWAY_DEADLINE_MARGIN", "nan"),
    ],
)
def test_a_bad_value_is_named_by_its_variable(variable: str, value: str) -> None:
    with pytest.raises(BadSetting, match=variable):
        Options({}, {variable: value})


def run(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a fresh interpreter."""
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2] / "src"), **environ}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environ,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_main_is_the_handler_of_the_application_in_the_environment(tmp_path: Path) -> None:
    (tmp_path / "site_here.py").write_text(SITE)
    done = run(
        "import sys; sys.path.insert(0, sys.argv[0] or '.'); import json, portway.awslambda as a\n"
        "event = {'requestContext': {'elb': {}}, 'httpMethod': 'GET', 'path': '/', 'headers': {}}\n"
        "print(a.main(event)['body']); assert a.main is a.main",
        PORTWAY_APP="site_here:app",
        PYTHONPATH=f"{tmp_path}:{Path(__file__).parents[2] / 'src'}",
    )
    assert (done.stdout, done.stderr, done.returncode) == ("from the environment\n", "", 0)


def test_main_without_an_application_says_what_to_set() -> None:
    done = run("import portway.awslambda as a; a.main")
    assert done.returncode == 1
    assert "PORTWAY_APP must name the application as module:attr" in done.stderr


def test_an_unknown_attribute_is_one() -> None:
    import portway.awslambda

    with pytest.raises(AttributeError):
        _ = portway.awslambda.nothing
    assert isinstance(BadSetting("A", 1, "x"), Exception)


def test_a_cold_start_loads_nothing_heavy() -> None:
    done = run(
        "import sys; before = set(sys.modules); import portway.awslambda as a\n"
        "h = a.handler(lambda environ, start_response: start_response('200 OK', []) and [] or [])\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new))"
    )
    assert done.stderr == ""
    heavy = {"typing", "re", "json", "logging", "asyncio", "threading", "dataclasses", "inspect", "base64"}
    loaded = set(eval(done.stdout))
    assert not loaded & (heavy | {"urllib", "http", "email", "ssl", "msgspec", "click"}), loaded
