"""Everything that lives as long as the execution environment: application, loop, lifespan, watchdog.

Made at the first event, or in Lambda's init phase when the runtime calls `start()`. With SnapStart the
init phase ends in a snapshot, and what it opened (sockets, a database pool) is dead in every copy: by
default the lifespan starts only after the restore.
"""

from __future__ import annotations

import atexit
import os

from .errors import AppFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .asgi import ASGI
    from .deadline import Watchdog
    from .lifespan import Lifespan
    from .loop import Loop
    from .options import Options
    from .websocket import Poster, Store, WebSockets
    from .wsgi import WSGI


class Environment:
    """The application and what it runs on.

    Attributes:
        driver: Runs the application for one request.
        watchdog: Interrupts it before the deadline, or None when the margin is 0.
    """

    driver: WSGI | ASGI

    def __init__(self, app: Any, options: Options, poster: Poster | None, store: Store | None) -> None:
        from .loading import interface_of

        self._app = app
        self._options = options
        self._poster = poster
        self._store = store
        self._loop: Loop | None = None
        self._lifespan: Lifespan | None = None
        self._websockets: WebSockets | None = None
        self.watchdog: Watchdog | None = None
        self.interface = interface_of(app) if options.interface == "auto" else options.interface

    def start(self) -> None:
        """Make the driver and start the application up.

        Raises:
            AppFailed: The application refused to start.
        """
        if self.interface == "wsgi":
            from .wsgi import WSGI

            self.driver = WSGI(self._app)
        else:
            self._start_asgi()
        if self._options.deadline_margin:
            from .deadline import Watchdog

            self.watchdog = Watchdog(self._options.deadline_margin, self._loop)

    def _start_asgi(self) -> None:
        from .asgi import ASGI

        loop = self.loop()
        if self._options.lifespan != "off":
            from .lifespan import Lifespan

            self._lifespan = Lifespan(self._app, loop, self._options.lifespan == "on")
            if not self._waits_for_restore():
                self._startup()
        self.driver = ASGI(self._app, loop, self._lifespan)

    def _waits_for_restore(self) -> bool:
        from . import snapstart

        if not snapstart.snapping() or self._options.snapstart_lifespan == "snapshot":
            return False
        snapstart.after_restore(self._startup)
        return True

    def _startup(self) -> None:
        lifespan = self._lifespan
        assert lifespan is not None
        lifespan.startup()
        if lifespan.running:
            atexit.register(self.shutdown)  # for a process that just ends; on Lambda SIGTERM comes first
        if lifespan.running or self._options.sigterm == "on":
            from .shutdown import at_sigterm

            at_sigterm(self.shutdown, ask=self._options.sigterm != "off")

    def shutdown(self) -> None:
        """Shut the application down. Called once, at SIGTERM."""
        if self._lifespan is None:
            return
        try:
            self._lifespan.shutdown()
        except AppFailed as error:
            from .logs import error as log

            log(str(error), exc_info=False)

    def close(self) -> None:
        """Shut the application down, close the loop and end the watch. Nothing can be called afterwards."""
        self.shutdown()
        atexit.unregister(self.shutdown)
        if self.watchdog is not None:
            self.watchdog.close()
        if self._loop is not None:
            self._loop.close()

    def loop(self) -> Loop:
        """Return the environment's event loop, made when first asked for."""
        if self._loop is None:
            from .loop import Loop

            self._loop = Loop()
        return self._loop

    def websockets(self) -> WebSockets:
        """Return the connections of an API Gateway WebSocket API."""
        if self._websockets is None:
            from .websocket import WebSockets

            self._websockets = WebSockets(
                self._app,
                self.interface,
                self.loop(),
                self._lifespan,
                self._options,
                self._poster,
                self._store,
            )
        return self._websockets


def on_lambda() -> bool:
    """Tell whether this process runs as a Lambda function (or under an emulator that says so)."""
    return "AWS_LAMBDA_RUNTIME_API" in os.environ
