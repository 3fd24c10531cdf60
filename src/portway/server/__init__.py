"""The server: an arbiter and its workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portway.config import Settings

if TYPE_CHECKING:
    from portway.server.invocation import Invocation
    from portway.site.environment import Environment
    from portway.site.site import Site


def serve(
    settings: Settings,
    invocation: Invocation | None = None,
    site: Site | None = None,
    environment: Environment | None = None,
) -> int:
    """Serve an application until a signal ends it. Returns in the arbiter, and in every worker too.

    The caller must leave with the returned code at once, through the interpreter's ordinary exit: a
    worker's exit handlers (the application's own) run there. Call it in the main thread of a process
    that has no other: it forks.

    Args:
        settings: The configuration; `settings.app.app` names the application.
        invocation: How to read the configuration again and to start the server again; without it, a
            reload starts the application afresh with what it has.
        site: The routes, or None without any.
        environment: What the configuration adds to the applications' environment, or None.

    Returns:
        The process's exit code.

    Raises:
        PortwayError: The server cannot start. Raised in the arbiter only.
    """
    # What workers run, before the fork: they share the memory, start sooner, and have it even where the
    # user they run as may not read the server's own files.
    from portway.server import wsgi_worker  # noqa: F401
    from portway.server.arbiter import Arbiter
    from portway.server.assignment import BecomeChild
    from portway.server.sharing import import_what_is_asked_for, may_be_asgi

    import_what_is_asked_for(settings)
    if invocation is not None and invocation.developing:
        from portway.server.developing import wrapping  # noqa: F401
    if may_be_asgi(settings):
        from portway.server import asgi_worker  # noqa: F401

    try:
        with Arbiter(settings, invocation, site, environment) as arbiter:
            arbiter.run()
        return 0
    except BecomeChild as birth:
        life = birth.life
    return life()  # here, and not above: the arbiter's frames are gone
