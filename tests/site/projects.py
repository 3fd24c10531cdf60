"""One small real project of each framework, with a folder of files. Each answers "it works" at /."""

from __future__ import annotations

from pathlib import Path

FLASK = """
from flask import Flask

def create_app():
    app = Flask(__name__, static_folder="assets", static_url_path="/files")
    app.add_url_rule("/", "index", lambda: "it works")
    return app
"""

QUART = """
from quart import Quart
app = Quart(__name__)

@app.get("/")
async def index():
    return "it works"
"""

FASTAPI = """
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles
app = FastAPI()
app.mount("/static", StaticFiles(directory="static"), name="static")

@app.get("/", response_class=PlainTextResponse)
def index():
    return "it works"
"""

STARLETTE = """
from pathlib import Path
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

HERE = Path(__file__).resolve().parent

async def index(request):
    return PlainTextResponse("it works")

application = Starlette(routes=[
    Route("/", index),
    Mount("/static", app=StaticFiles(directory=HERE / "static"), name="static"),
])
"""

LITESTAR = """
from litestar import Litestar, get
from litestar.static_files import create_static_files_router

@get("/")
async def index() -> str:
    return "it works"

app = Litestar([index, create_static_files_router(path="/static", directories=["static"])])
"""

BOTTLE = """
import bottle
app = bottle.Bottle()

@app.route("/")
def index():
    return "it works"

@app.route("/static/<path:path>")
def files(path):
    return bottle.static_file(path, root="./static")
"""

FALCON = """
import os
import falcon

class Index:
    def on_get(self, request, response):
        response.text = "it works"

app = falcon.App()
app.add_route("/", Index())
app.add_static_route("/static", os.path.join(os.path.dirname(os.path.abspath(__file__)), "static"))
"""

PYRAMID = """
from pyramid.config import Configurator
from pyramid.response import Response

def index(request):
    return Response("it works")

with Configurator() as config:
    config.add_route("index", "/")
    config.add_view(index, route_name="index")
    config.add_static_view("static", "static")
    app = config.make_wsgi_app()
"""

CHALICE = """
from chalice import Chalice, Response
app = Chalice(app_name="site")

@app.route("/")
def index():
    return Response("it works", headers={"Content-Type": "text/plain"})
"""

HANDLER = """
def lambda_handler(event, context):
    return {"statusCode": 200, "headers": {"Content-Type": "text/plain"}, "body": "it works"}
"""

WSGI = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"it works"]
"""

ASGI = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"it works"})
"""

DJANGO_MANAGE = """
import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
"""

DJANGO_SETTINGS = """
from pathlib import Path
BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "x"
DEBUG = True
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
INSTALLED_APPS = ["django.contrib.staticfiles"]
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "collected"
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_URL = "media/"
MEDIA_ROOT = str(BASE_DIR / "uploads")
"""

DJANGO_URLS = """
from django.http import HttpResponse
from django.urls import path

urlpatterns = [path("", lambda request: HttpResponse("it works"))]
"""

DJANGO_WSGI = """
import os
from django.core.wsgi import get_wsgi_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
application = get_wsgi_application()
"""

CSS = {"static/style.css": "body { color: red }"}

PROJECTS: dict[str, dict[str, str]] = {
    "Flask": {"site_/__init__.py": FLASK, "site_/assets/style.css": CSS["static/style.css"]},
    "Quart": {"app.py": QUART, **CSS},
    "FastAPI": {"main.py": FASTAPI, **CSS},
    "Starlette": {"asgi.py": STARLETTE, **CSS},
    "Litestar": {"app.py": LITESTAR, **CSS},
    "Bottle": {"app.py": BOTTLE, **CSS},
    "Falcon": {"app.py": FALCON, **CSS},
    "Pyramid": {"app.py": PYRAMID, **CSS},
    "Chalice": {"app.py": CHALICE},
    "Lambda": {"lambda_function.py": HANDLER},
    "WSGI": {"wsgi.py": WSGI, **CSS},
    "ASGI": {"asgi.py": ASGI},
    "Django": {
        "manage.py": DJANGO_MANAGE,
        "shop/__init__.py": "",
        "shop/settings.py": DJANGO_SETTINGS,
        "shop/urls.py": DJANGO_URLS,
        "shop/wsgi.py": DJANGO_WSGI,
        "static/style.css": CSS["static/style.css"],
        "collected/style.css": CSS["static/style.css"],
        "uploads/cat.txt": "a cat",
    },
}
"""Framework → name of a file → its text."""

_AT_STATIC = ("Quart", "FastAPI", "Starlette", "Litestar", "Bottle", "Falcon", "Pyramid")

ROUTES = {
    "Flask": {"/files/*": "site_/assets"},
    "Django": {"/media/*": "uploads"},
    **{framework: {"/static/*": "static"} for framework in _AT_STATIC},
}
"""Framework → pattern → folder that `portway init` finds."""


def make_project(folder: Path, framework: str) -> Path:
    """Write a project's files; return the folder."""
    for name, text in PROJECTS[framework].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
