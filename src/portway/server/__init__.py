"""The server: an arbiter and its workers."""

from __future__ import annotations

from portway.config import Settings


def serve(settings: Settings) -> int:
    """Serve an application until a signal ends it. Returns in the arbiter, and in every worker too.

    The caller must leave with the returned code at once, through the interpreter's ordinary exit: a
    worker's exit handlers (the application's own) run there. Call it in the main thread of a process
    that has no other: it forks.

    Args:
        settings: The configuration; `settings.app.app` names the application.

    Returns:
        The process's exit code.

    Raises:
        PortwayError: The server cannot start. Raised in the arbiter only.
    """
    # Both kinds of worker, before the fork: they share the memory, start sooner, and are loaded even
    # where the user they run as may not read the server's own files.
    from portway.server import asgi_worker, wsgi_worker  # noqa: F401
    from portway.server.arbiter import Arbiter
    from portway.server.assignment import BecomeWorker
    from portway.server.worker import run_worker

    try:
        with Arbiter(settings) as arbiter:
            arbiter.run()
        return 0
    except BecomeWorker as birth:
        assignment = birth.assignment
    return run_worker(assignment)
