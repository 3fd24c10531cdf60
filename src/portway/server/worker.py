"""The child side: from the fork to the moment the engine takes over, for both kinds of application.

A worker runs outside the arbiter's frames (`BecomeWorker` unwound them). Until it is ready every
signal that stops has its default action, so a worker that is still importing ends at once; a start
that fails is told to the arbiter, which prints it once however many workers failed alike.
"""

from __future__ import annotations

import gc
import signal

from portway.apps import Application, load
from portway.engine.counters import STARTING
from portway.errors import EXIT_STARTUP, EXIT_UNEXPECTED, PortwayError, StartupFailed, shown
from portway.server.assignment import Assignment
from portway.server.logs import describe_exception
from portway.server.messages import MAX_DETAILS, Failed
from portway.server.signals import ignore

NOT_FOR_WORKERS = (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1, signal.SIGUSR2)
"""Signals for the arbiter that also reach workers when sent by program name or to the process group.
A handler that does nothing instead of SIG_IGN, which the application's subprocesses would inherit."""


def run_worker(assignment: Assignment) -> int:
    """Load the application and serve it until told to stop.

    Returns:
        The process's exit code: 0, 3 when it cannot start, 2 when it breaks down later.
    """
    try:
        settle_in(assignment)
        return _serve(assignment, _load(assignment))
    except PortwayError as error:
        return _report(assignment, error)
    except BaseException as error:  # the application's code may raise anything, SystemExit too
        text = f"serving {shown(assignment.shared.settings.app.app)} raised {type(error).__name__}"
        return _report(assignment, StartupFailed(text, details=describe_exception(error)))


def settle_in(assignment: Assignment) -> None:
    """Become a worker: signals, lifeline, queues, user."""
    for number in NOT_FOR_WORKERS:
        signal.signal(number, ignore)
    assignment.channel.signal_on_input(True)
    assignment.channel.receive()
    if assignment.channel.closed_by_peer:  # the arbiter died before the line above
        raise StartupFailed("the arbiter is gone")
    assignment.shared.slots.keep_only(assignment.slot)
    if assignment.shared.identity is not None:
        assignment.shared.identity.drop()


def _load(assignment: Assignment) -> Application:
    app = assignment.shared.settings.app
    application = load(
        app.app, factory=app.factory, interface=app.interface, chdir=app.chdir, env_file=app.env_file
    )
    # Everything loaded so far lives as long as the process: no garbage collection looks at it again.
    gc.collect()
    gc.freeze()
    return application


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
