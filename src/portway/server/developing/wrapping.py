"""What a worker of `portway dev` serves: the application in its wrapping, or what stands in for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from portway.apps import Application
from portway.server.assignment import Assignment
from portway.server.developing.answers import broken_page
from portway.server.developing.asgi import DevelopingASGI
from portway.server.developing.bulletin import Development
from portway.server.developing.django import with_static_files
from portway.server.developing.imports import Observer
from portway.server.developing.visitors import from_environ
from portway.server.developing.wsgi import DevelopingWSGI
from portway.server.messages import Imported, Unfit
from portway.server.reporter import Reporter

NOT_STARTED = b"the application has not started: its error is in the terminal of portway dev\n"


def application_of(assignment: Assignment, load: Callable[[Assignment], Application]) -> Application:
    """Return what a worker serves.

    Args:
        assignment: The worker's, in development.
        load: Imports the application.

    Raises:
        PortwayError: It cannot be imported.
    """
    development = assignment.shared.development
    assert development is not None
    if development.stand_in:
        return stand_in(assignment, development)

    def unfit(why: str) -> None:
        assignment.channel.send(Unfit(why))
        os._exit(0)  # nothing of the project has run in here but imports

    with Observer(development.warmth, unfit) as observer:
        application = load(assignment)
    assignment.channel.send(Imported(observer.steps))
    return wrapped(application, assignment, development)


def wrapped(application: Application, assignment: Assignment, development: Development) -> Application:
    """Return an application that shows errors to whoever may see them."""
    wrap: Callable[..., Any] = DevelopingWSGI if application.interface == "wsgi" else DevelopingASGI
    reporter = Reporter(assignment.shared.log)
    app = wrap(with_static_files(application.app), development, assignment.generation, reporter)
    shown = replace(application, app=app)
    beside: Application | None = getattr(application, "beside", None)  # a site's ASGI side, where it has both
    return shown if beside is None else replace(shown, beside=wrapped(beside, assignment, development))


def stand_in(assignment: Assignment, development: Development) -> Application:
    """Return what answers while no version of the application has ever started."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        visitor = from_environ(environ)
        if visitor.is_local and visitor.wants_page:
            answer = broken_page(visitor, development.bulletin.read(), development)
            start_response(answer.status, answer.fields)
            return [answer.body]
        notice = development.bulletin.read()
        body = NOT_STARTED
        if visitor.is_local and notice.problem:
            problem = notice.problem
            body = f"{problem.details}\n{problem.text}\n{problem.hint}\n".lstrip().encode()
        fields = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
        start_response("500 Internal Server Error", [*fields, ("Cache-Control", "no-store")])
        return [b"" if visitor.method == "HEAD" else body]

    return wrapped(Application(app, "wsgi", "stand-in", "stand-in"), assignment, development)
