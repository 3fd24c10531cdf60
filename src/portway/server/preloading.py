"""The child side of `--preload`: imports the application once, then forks workers on demand.

A worker must be the arbiter's child, which reaps it and knows how it ended. So it is forked twice: the
process in between ends at once, and the kernel gives the worker to the nearest subreaper, the arbiter.
Nothing but the import happens here: no loop, no engine, no thread of Portway's. The process ends when its
socket for orders does: the arbiter closes its end, or is gone.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable

from msgspec.structs import replace

from portway.apps import Application
from portway.errors import EXIT_STARTUP, PortwayError, StartupFailed, shown
from portway.server.assignment import Assignment
from portway.server.logs import describe_exception
from portway.server.messages import MAX_DETAILS, Channel, Failed, Preloaded
from portway.server.signals import NOT_FOR_WORKERS, held, ignore, leave_signals
from portway.server.worker import furnish, load_application, tell_when_aborted

PR_SET_CHILD_SUBREAPER = 36

NOT_FOR_PRELOADERS = (*NOT_FOR_WORKERS, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
"""Signals may reach the whole group; the arbiter decides when this process ends, by closing its orders."""

Serve = Callable[[Assignment, Application], int]


def become_subreaper() -> None:
    """Have the kernel give orphans among this process's descendants to it.

    Raises:
        StartupFailed: The system has no such thing.
    """
    import ctypes  # late: only --preload needs it

    failed = True
    if sys.platform == "linux":
        failed = ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0
    if failed:
        raise StartupFailed("--preload needs Linux: it relies on child subreapers", "leave --preload out.")


def run_preloader(assignment: Assignment, orders: socket.socket, serve: Serve) -> int:
    """Import the application and fork workers until told to stop. Returns in each worker, too.

    Args:
        assignment: As for a worker, without a slot.
        orders: Where forks are asked for.
        serve: What a worker does.

    Returns:
        The process's exit code.
    """
    try:
        furnish(assignment)
        tell_when_aborted(assignment)
        # SIGIO's default action ends this process with the arbiter, even while it is importing.
        assignment.channel.signal_on_input(True)
        if assignment.shared.identity is not None:
            assignment.shared.identity.drop()
        application = load_application(assignment)
        _warn_of_threads(assignment)
    except PortwayError as error:
        assignment.channel.send(Failed(str(error), error.hint, error.details[-MAX_DETAILS:]))
        return EXIT_STARTUP
    except BaseException as error:  # the application's code may raise anything
        text = f"importing {shown(assignment.shared.settings.app.app)} raised {type(error).__name__}"
        assignment.channel.send(Failed(text, None, describe_exception(error)[-MAX_DETAILS:]))
        return EXIT_STARTUP
    for number in NOT_FOR_PRELOADERS:
        signal.signal(number, ignore)
    assignment.channel.send(Preloaded())
    worker = take_orders(assignment, orders)
    if worker is None:
        os._exit(0)  # the application's exit handlers belong to workers, which ran them
    return serve(worker, application)


def _warn_of_threads(assignment: Assignment) -> None:
    others = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if others:
        text = f"the application started threads while it was imported ({', '.join(others[:5])}): "
        assignment.shared.log.entry("warning", f"{text}no worker has them, since threads are not forked")


def take_orders(
    assignment: Assignment, orders: socket.socket, refuses: Callable[[], int] = int
) -> Assignment | None:
    """Fork until the arbiter's end is closed. Returns None then, and a worker's assignment in each worker.

    Args:
        assignment: The preloader's own.
        orders: Where forks are asked for: slot and generation, with the worker's channel.
        refuses: Asked before each fork; returns an error number to refuse it, 0 not to.
    """
    while True:
        payload, descriptors, _, _ = socket.recv_fds(orders, 64, 1)
        if not payload or not descriptors:
            return None
        channel = Channel(socket.socket(fileno=descriptors[0]))
        os.set_inheritable(channel.fileno(), False)
        problem = refuses()
        answer = -problem if problem else _fork_twice()
        if answer is None:
            orders.close()
            assignment.channel.close()
            slot, generation = map(int, payload.split())
            return replace(assignment, slot=slot, generation=generation, channel=channel)
        channel.close()
        try:
            orders.send(b"%d" % answer)
        except OSError:
            return None


def _fork_twice() -> int | None:
    """Return the process id of a worker, a negative error number without one, and None in the worker."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        with held():
            between = os.fork()
            if between == 0:
                between = os.getpid()
                try:
                    worker = os.fork()
                except OSError as error:
                    worker = -(error.errno or errno.EAGAIN)
                if worker != 0:
                    os.write(writing, b"%d" % worker)
                    os._exit(0)
                os.close(reading)
                os.close(writing)
                while os.getppid() == between:
                    os.sched_yield()  # it ends at once; who asks for a parent is to find the arbiter
                leave_signals()
                return None
    except OSError as error:
        os.close(reading)
        os.close(writing)
        return -(error.errno or errno.EAGAIN)
    os.close(writing)
    answer = os.read(reading, 32)
    os.close(reading)
    os.waitpid(between, 0)
    return int(answer) if answer else -errno.EAGAIN
