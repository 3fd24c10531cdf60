"""Which application a folder holds, found by reading it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from portway.errors import AppNotFound, UsageError
from portway.site.project.discovery import Choice, candidates, choose

FLASK = "from flask import Flask\napp = Flask(__name__)\n"
WSGI = "def app(environ, start_response):\n    ...\n"
DJANGO = """
import os, sys
def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{}")
if __name__ == "__main__":
    main()
"""


def found(folder: Path, files: Mapping[str, str]) -> Choice:
    """Write files, given without their ending, and return what is chosen."""
    for name, text in files.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return choose(folder)


@pytest.mark.parametrize(
    ("text", "target", "framework"),
    [
        (FLASK, "app:app", "Flask"),
        ("import flask as f\nsite = f.Flask(__name__)\n", "app:site", "Flask"),
        ("from fastapi import FastAPI as F\napplication: F = F(title='x')\n", "app:application", "FastAPI"),
        ("from starlette.applications import Starlette\napp = Starlette()", "app:app", "Starlette"),
        ("import bottle\napp = bottle.default_app()", "app:app", "Bottle"),
        ("import falcon.asgi\napi = falcon.asgi.App()", "app:api", "Falcon"),
        ("from litestar import Litestar\napp = Litestar([])", "app:app", "Litestar"),
        ("from quart import Quart\napp = Quart(__name__)", "app:app", "Quart"),
        ("from chalice import Chalice\napp = Chalice(app_name='x')", "app:app", "Chalice"),
        (
            "from pyramid.config import Configurator\nconfig = Configurator()\napp = config.make_wsgi_app()",
            "app:app",
            "Pyramid",
        ),
        (
            "from pyramid.config import Configurator\ndef main(global_config=None, **settings):\n"
            "    with Configurator(settings=settings) as config:\n        return config.make_wsgi_app()\n",
            "app:main()",
            "Pyramid",
        ),
        ("from flask import Flask\nclass Site(Flask): pass\napp = Site(__name__)", "app:app", "Flask"),
        ("from flask import Flask\napp = Flask('x')\napp = wrap(app)", "app:app", "Flask"),
        ("from flask import Flask\napp = wrap(Flask('x'))", "app:app", "Flask"),
        (
            "def create_app(debug=False):\n    from flask import Flask\n    return Flask('x')",
            "app:create_app()",
            "Flask",
        ),
        ("from flask import Flask\ndef build():\n    return Flask('x')", "app:build()", "Flask"),
        (WSGI, "app:app", "WSGI"),
        ("async def application(scope, receive, send): ...", "app:application", "ASGI"),
        ("def lambda_handler(event, context): ...", "app:lambda_handler", "Lambda"),
        ("from project import app", "app:app", ""),
        ("from x import make\napp = make()", "app:app", ""),
        ("if True:\n    try:\n        app = object()\n    except E:\n        pass", "app:app", ""),
    ],
)
def test_what_a_file_says(tmp_path: Path, text: str, target: str, framework: str) -> None:
    chosen = found(tmp_path, {"app": text}).chosen
    assert (chosen.target, chosen.framework) == (target, framework)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "app = None",
        "app = 'text'",
        "def create_app(config): ...",
        "def app(): ...",
        "async def create_app(): ...",
        "if __name__ == '__main__':\n    app = make()",
        "class app: pass",
        "def f():\n    app = make()",
    ],
)
def test_what_is_no_application(tmp_path: Path, text: str) -> None:
    with pytest.raises(AppNotFound, match="no application was found"):
        found(tmp_path, {"app": text})


def test_nothing_is_run(tmp_path: Path) -> None:
    assert found(tmp_path, {"app": FLASK + "raise SystemExit(1)"}).chosen.target == "app:app"


@pytest.mark.parametrize(
    ("files", "target"),
    [
        ({"src/shop/__init__": "", "src/shop/main": FLASK}, "src/shop/main.py:app"),
        ({"shop/__init__": "", "shop/main": FLASK}, "shop.main:app"),
        ({"shop/__init__": "def create_app():\n    return make()"}, "shop:create_app()"),
        ({"app/main": "from app.routes import x\n" + FLASK}, "app.main:app"),
        ({"backend/main": "from routes import x\n" + FLASK}, "backend/main.py:app"),
        ({"site": FLASK}, "site.py:app"),
        ({"my-app": FLASK}, "my-app.py:app"),
        ({"main": FLASK, "tests/app": FLASK, "conftest": FLASK, "test_app": FLASK}, "main:app"),
        ({"wsgi": "from shop import app", "shop/__init__": FLASK}, "shop:app"),
        ({"wsgi": "from shop import create_app\napp = create_app()", "shop/__init__": FLASK}, "shop:app"),
        ({"main": "app = (", "other": "x = 1"}, "main"),
        ({"main": "app = (", "other": FLASK}, "other:app"),
    ],
)
def test_where_it_is_looked_for(tmp_path: Path, files: dict[str, str], target: str) -> None:
    assert found(tmp_path, files).chosen.target == target


@pytest.mark.parametrize(
    ("settings", "target"),
    [
        ('WSGI_APPLICATION = "shop.wsgi.application"', "shop.wsgi:application"),
        (
            'WSGI_APPLICATION = "shop.wsgi.application"\nASGI_APPLICATION = "shop.asgi.application"',
            "shop.asgi:application",
        ),
        ("", "shop.wsgi:application"),
    ],
)
def test_django(tmp_path: Path, settings: str, target: str) -> None:
    entry = "from django.core.{0} import get_{0}_application\napplication = get_{0}_application()"
    files = {
        "manage": DJANGO.format("shop.settings"),
        "shop/__init__": "",
        "shop/settings": settings,
        "shop/wsgi": entry.format("wsgi"),
        "shop/asgi": entry.format("asgi"),
    }
    choice = found(tmp_path, files)
    assert (choice.chosen.target, choice.chosen.framework) == (target, "Django")
    assert choice.chosen.settings == "shop.settings"


def test_the_others_are_told(tmp_path: Path) -> None:
    choice = found(tmp_path, {"app": WSGI, "main": FLASK})
    assert [choice.chosen.target, *(one.target for one in choice.others)] == ["app:app", "main:app"]
    assert choice.others[0].what == "Flask, main.py line 2"


def test_two_that_nothing_tells_apart(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="several applications were found: app:a and app:b"):
        found(tmp_path, {"app": "from flask import Flask\na = Flask('a')\nb = Flask('b')"})


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "app.py").symlink_to(tmp_path / "nowhere.py")
    (tmp_path / "main.py").mkdir()
    (tmp_path / "wsgi.py").write_bytes(b"\x00\xff")
    (tmp_path / "asgi.py").write_bytes(b"x = 1\n" * 400_000)
    assert [one.target for one in candidates(tmp_path)] == ["wsgi"]
    assert candidates(tmp_path / "nowhere") == []
