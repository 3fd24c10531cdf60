"""The child side: from the fork to the moment the engine takes over, for both kinds of application.

A worker runs outside the arbiter's frames (`BecomeChild` unwound them). Until it is ready every
signal that stops has its default action, so a worker that is still importing ends at once; a start
that fails is told to the arbiter, which prints it once however many workers failed alike.
"""

from __future__ import annotations

import faulthandler
import gc
import os

from msgspec.structs import replace

from portway.apps import Application, adopt, load
from portway.engine.counters import STARTING
from portway.errors import EXIT_STARTUP, EXIT_UNEXPECTED, PortwayError, StartupFailed, shown
from portway.server.assignment import Assignment
from portway.server.logs import describe_exception
from portway.server.messages import MAX_DETAILS, Failed


def run_worker(assignment: Assignment, application: Application | None = None, found: object = None) -> int:
    """Load the application and serve it until told to stop.

    Args:
        assignment: The worker's work.
        application: The application, where a preloader has imported it.
        found: See `load_application`.

    Returns:
        The process's exit code: 0, 3 when it cannot start, 2 when it breaks down later.
    """
    try:
        settle_in(assignment)
        if assignment.shared.settings.hooks.functions:
            return _serve_with_hooks(assignment, application, found)
        return _serve(assignment, application or _load(assignment, found))
    except PortwayError as error:
        return _report(assignment, error)
    except BaseException as error:  # the application's code may raise anything, SystemExit too
        text = f"serving {shown(assignment.shared.settings.app.app)} raised {type(error).__name__}"
        return _report(assignment, StartupFailed(text, details=describe_exception(error)))


def settle_in(assignment: Assignment) -> None:
    """Become a worker: environment, lifeline, queues, user."""
    furnish(assignment)
    tell_when_aborted(assignment)
    assignment.channel.signal_on_input(True)
    assignment.channel.receive()
    if assignment.channel.closed_by_peer:  # the arbiter died before the line above
        raise StartupFailed("the arbiter is gone")
    assignment.shared.slots.keep_only(assignment.slot)
    if assignment.shared.identity is not None:
        assignment.shared.identity.drop()


def furnish(assignment: Assignment) -> None:
    """Put what the configuration says into the environment; what is there already stays."""
    if assignment.shared.environment is not None:
        assignment.shared.environment.enter(os.environ)


def tell_when_aborted(assignment: Assignment) -> None:
    """Have the stacks of all threads written to the error log at SIGABRT, and at a crash of native code."""
    faulthandler.enable(assignment.shared.log.fd)


def load_application(assignment: Assignment, found: object = None) -> Application:
    """Load the application, for good: no garbage collection looks at what is loaded so far again.

    Args:
        assignment: The worker's work.
        found: The application itself, or its factory, where it is a program that serves what it has; None
            imports what the settings name.
    """
    application = _import(assignment, found)
    if assignment.slot <= 0:  # once, not by every worker; a preloader has none
        for text in application.warnings:
            assignment.shared.log.entry("warning", text)
    gc.collect()
    gc.freeze()
    return application


def _import(assignment: Assignment, found: object) -> Application:
    shared = assignment.shared
    app, function = shared.settings.app, shared.settings.function
    main = None
    if found is not None:
        main = adopt(
            found, factory=app.factory, interface=app.interface, env_file=app.env_file, function=function
        )
    if shared.site is not None and shared.site.has_mounts:
        from portway.server.reporter import Reporter
        from portway.site.mounts import load_site

        return load_site(shared.site, app, function, Reporter(shared.log).upstream_failed, main)
    return main or load(
        app.app,
        factory=app.factory,
        interface=app.interface,
        chdir=app.chdir,
        env_file=app.env_file,
        function=function,
    )


def _load(assignment: Assignment, found: object) -> Application:
    if assignment.shared.development is None:
        return load_application(assignment, found)
    from portway.server.developing.wrapping import application_of

    return application_of(assignment, load_application)


def _serve_with_hooks(assignment: Assignment, application: Application | None, found: object) -> int:
    from portway.server.worker_hooks import WorkerHooks

    hooks = WorkerHooks(assignment)
    try:
        hooks.forked()
        application = hooks.loaded(application or _load(assignment, found))
        return _serve(replace(assignment, interrupted=hooks.interrupted, aborted=hooks.aborted), application)
    finally:
        hooks.ended()


def _serve(assignment: Assignment, application: Application) -> int:
    if application.interface == "wsgi":  # a worker imports one engine, and asyncio only when it needs it
        from portway.server.wsgi_worker import WSGIWorker

        return WSGIWorker(assignment, application).run()
    from portway.server.asgi_worker import ASGIWorker

    return ASGIWorker(assignment, application).run()


def _report(assignment: Assignment, error: PortwayError) -> int:
    if assignment.shared.slots[assignment.slot].state == STARTING:
        assignment.channel.send(Failed(str(error), error.hint, error.details[-MAX_DETAILS:]))
        return EXIT_STARTUP
    assignment.shared.log.entry("error", str(error), error.details)
    return EXIT_UNEXPECTED
