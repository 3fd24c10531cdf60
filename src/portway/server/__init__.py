"""The server: an arbiter and its workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portway.server.invocation import Configuration, Invocation


def serve(told: Configuration, invocation: Invocation | None = None) -> int:
    """Serve an application until a signal ends it. Returns in the arbiter, and in every worker too.

    The caller must leave with the returned code at once, through the interpreter's ordinary exit: a
    worker's exit handlers (the application's own) run there. Call it in the main thread of a process
    that has no other: it forks.

    Args:
        told: The configuration; its `settings.app.app` names the application.
        invocation: How to read the configuration again and to start the server again; without it, a
            reload starts the application afresh with what it has.

    Returns:
        The process's exit code.

    Raises:
        PortwayError: The server cannot start. Raised in the arbiter only.
    """
    life = run_arbiter(told, invocation)
    return life() if life else 0


def run_arbiter(
    told: Configuration, invocation: Invocation | None = None, found: object = None
) -> Callable[[], int] | None:
    """Do the same, but return in a forked child before it does anything.

    Args:
        told: See `serve`.
        invocation: See `serve`.
        found: The application itself, where it is not to be imported by its name.

    Returns:
        In the arbiter: None, at its end. In a child: what it is to do, which returns its exit code.

    Raises:
        PortwayError: The server cannot start. Raised in the arbiter only.
    """
    # What workers run, before the fork: they share the memory, start sooner, and have it even where the
    # user they run as may not read the server's own files.
    from portway.server import wsgi_worker  # noqa: F401
    from portway.server.arbiter import Arbiter
    from portway.server.assignment import BecomeChild
    from portway.server.sharing import import_what_is_asked_for, may_be_asgi

    import_what_is_asked_for(told.settings)
    if invocation is not None and invocation.developing:
        from portway.server.developing import wrapping  # noqa: F401
    if may_be_asgi(told.settings):
        from portway.server import asgi_worker  # noqa: F401

    try:
        with Arbiter(told, invocation, found=found) as arbiter:
            arbiter.run()
        return None
    except BecomeChild as birth:
        return birth.life  # to be called outside: then the arbiter's frames are gone
