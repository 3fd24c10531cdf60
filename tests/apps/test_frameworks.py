"""The applications of real frameworks, plain and wrapped, are told apart by what they take."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from wsgiref.simple_server import demo_app
from wsgiref.validate import validator

import pytest
from asgiref.compatibility import guarantee_single_callable
from asgiref.wsgi import WsgiToAsgi
from fastapi import APIRouter, FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.staticfiles import StaticFiles
from werkzeug.local import LocalProxy
from werkzeug.middleware.proxy_fix import ProxyFix

from portway.apps import detect, load

Write = Callable[[str, str], Path]

flask = Flask("sample")
fastapi = FastAPI()
wsgi_to_asgi: Any = WsgiToAsgi
single_callable: Any = guarantee_single_callable


@pytest.mark.parametrize(
    ("app", "interface"),
    [
        (flask, "wsgi"),
        (flask.wsgi_app, "wsgi"),
        (ProxyFix(flask), "wsgi"),
        (LocalProxy(lambda: flask), "ambiguous"),
        (demo_app, "wsgi"),
        (validator(demo_app), "ambiguous"),
        (functools.partial(demo_app), "wsgi"),
        (fastapi, "asgi"),
        (APIRouter(), "asgi"),
        (Starlette(), "asgi"),
        (GZipMiddleware(Starlette()), "asgi"),
        (StaticFiles(directory="/", check_dir=False), "asgi"),
        (PlainTextResponse("x"), "asgi"),
        (HTTPEndpoint, "asgi"),
        (wsgi_to_asgi(flask), "asgi"),
        (single_callable(fastapi), "asgi"),
        (Flask, "none"),
        (FastAPI, "factory"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_framework(app: object, interface: str) -> None:
    assert detect(app) == interface


DJANGO = """
import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

if not settings.configured:
    settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="x")
urlpatterns = []
application = get_wsgi_application()
asgi = get_asgi_application()
"""


def test_django(write: Write) -> None:
    write("django_site.py", DJANGO)
    assert load("django_site").label == "WSGI"
    assert load("django_site:asgi").label == "ASGI 3"
    assert load("django_site:get_asgi_application()").label == "ASGI 3"
    assert load("django_site:get_wsgi_application").label == "WSGI"
    assert "DJANGO_SETTINGS_MODULE" not in os.environ


class QuartLike:
    """Quart's class has both a sync-looking helper and an async call with annotations."""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await self.asgi_app(scope, receive, send)

    async def asgi_app(self, scope: dict[str, Any], receive: Any, send: Any) -> None: ...


class FalconLike:
    def __call__(self, env: dict[str, Any], start_response: Any) -> list[bytes]:
        return []


class AiohttpLike:
    """aiohttp's application returns itself when called, for gunicorn's sake; it speaks neither."""

    def __call__(self) -> AiohttpLike:
        return self


class MangumLike:
    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        return {}


def test_lookalikes() -> None:
    assert detect(QuartLike()) == "asgi"
    assert detect(QuartLike().asgi_app) == "asgi"
    assert detect(FalconLike()) == "wsgi"
    assert detect(MangumLike()) == "lambda"
    assert detect(AiohttpLike()) == "factory"  # and what it makes is one again, which load refuses
