"""One process without an arbiter, for the tools of the command line that serve HTTP themselves.

What they serve is Portway's own code, so there is nothing to reload, replace or isolate; everything a
client meets is the same engine.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from portway.config import Settings
from portway.engine.wsgi import WSGIEngine
from portway.server.listeners import open_listeners
from portway.server.logs import ErrorLog
from portway.server.opening import open_access_log
from portway.server.reporter import Reporter
from portway.server.signals import ignore

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)


def serve_single(app: WSGIApplication, settings: Settings, started: Callable[[Iterable[str]], None]) -> None:
    """Serve a WSGI application until a signal ends it. Call it in the main thread.

    SIGTERM and the first SIGINT finish what is under way, the second one does not.

    Args:
        app: The application.
        settings: Where to listen, the limits, the logs; `process.threads` threads.
        started: Called once with what is listened on, when connections are taken.

    Raises:
        BindError: An address cannot be listened on.
    """
    listeners = open_listeners(settings.listen.bind, settings.listen.backlog)
    log = ErrorLog(settings.log.errors, settings.log.level)
    access = open_access_log(settings, None)
    engine = WSGIEngine(app, settings, report=Reporter(log), access=access, multiprocess=False)
    engine.tell_fields = True  # front doors hand them on one by one
    stopping = False

    def obey(number: int) -> None:
        nonlocal stopping
        if number == signal.SIGTERM or (number == signal.SIGINT and not stopping):
            stopping = True
            engine.drain(settings.timeouts.graceful)
        elif number in _STOPPING:
            engine.stop()

    for listener in listeners:
        engine.add_listener(listener.sock)
    engine.on_wakeup = obey
    signal.set_wakeup_fd(engine.wakeup_fd, warn_on_full_buffer=False)
    for number in _STOPPING:
        signal.signal(number, ignore)
    try:
        started([str(listener) for listener in listeners])
        engine.run()
    finally:
        signal.set_wakeup_fd(-1)
        for number in _STOPPING:
            signal.signal(number, ignore)
        for listener in listeners:
            listener.close()
