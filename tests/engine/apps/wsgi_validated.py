"""A WSGI application behind wsgiref's validator, which fails on what PEP 3333 forbids, on either side.

The variable VALIDATED names it: "small" (the application below), "site" or "django" (the examples).
"""

from __future__ import annotations

import os
import runpy
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from wsgiref.validate import WSGIWarning, validator

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

EXAMPLES = Path(__file__).parent.parent.parent.parent / "examples"

warnings.simplefilter("error", WSGIWarning)


def django() -> Any:
    """Return the Django example."""
    sys.path.insert(0, str(EXAMPLES / "django"))
    os.chdir(EXAMPLES / "django")
    return runpy.run_path(str(EXAMPLES / "django" / "harbour" / "wsgi.py"))["application"]


def site(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Serve the Flask example.

    Where Werkzeug sees that the input ends by itself it calls `read()`, which PEP 3333 allows since 2010
    and the validator still does not: without the key it asks for as many bytes as CONTENT_LENGTH says.
    """
    environ.pop("wsgi.input_terminated")
    return flask_app(environ, start_response)


def small(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Use what the examples leave out: every way to read, `write`, and the error stream."""
    body = environ["wsgi.input"]
    parts = [body.read(2), body.readline(), *body.readlines(), *body]
    environ["wsgi.errors"].write("a line of the application\n")
    environ["wsgi.errors"].flush()
    write = start_response("200 OK", [("Content-Type", "text/plain"), ("X-Read", str(len(b"".join(parts))))])
    if environ["REQUEST_METHOD"] != "HEAD":
        write(b"written and ")
    return [b"returned"]


flask_app: WSGIApplication = small


def chosen() -> WSGIApplication:
    """Return the application that was asked for."""
    global flask_app
    match os.environ["VALIDATED"]:
        case "site":
            flask_app = runpy.run_path(str(EXAMPLES / "site" / "app.py"))["app"]
            return site
        case "django":
            application: WSGIApplication = django()
            return application
    return small


app = validator(chosen())
