"""`portway.Server`: one more server inside a running program, without an arbiter and without other processes.

It obeys no signals unless it is asked to, reads no environment and no file unless one is named, and leaves
the process as it found it: directory, umask, limits and handlers are the program's.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

from portway.apps import Application, adopt, load
from portway.embedding import living
from portway.embedding.arguments import explained
from portway.embedding.engines import CLEAN_UP_S, Lent, LoopedRun, OwnLoopRun, Run, ThreadedRun
from portway.embedding.reading import read
from portway.errors import UsageError
from portway.server.listeners import Listener, SocketFiles
from portway.server.logs import ErrorLog
from portway.server.opening import listeners_of, open_access_log
from portway.server.privileges import KEEP, owner_of
from portway.server.reporter import Reporter

_LATE_S = 2.0
"""Seconds beyond all others for threads and loop to end."""


class Server:
    """A server in this process. A context manager, for `with` and for `async with`.

    `with` and `start` serve in threads of the server's own: a WSGI application in `threads` of them, an ASGI
    application in an event loop in one. `async with` serves an ASGI application on the running loop, where
    it can share connections and queues with its caller. Any thread may call any method, and a server
    that has ended can be started again. In a forked child there is no server: the child lets go of what
    the parent serves, and `running` is false.

    What the application raises goes to the error log (`error_log`, the standard error stream by default).

    Args:
        app: The WSGI or ASGI callable, a function that returns it, or a name ("module:attr"). None takes the
            one that the configuration file names.
        config: A configuration file with options and routes; no file is read without it.
        options: Options by the names of the flags of `portway serve`, with underscores; `routes` as a list of
            tables. `bind` is "127.0.0.1:8000" by default; port 0 lets the system choose, see `url`.

    Raises:
        ConfigError: An option does not exist, has no meaning here, or has a wrong value.
        AppError: The application cannot be imported, or is none.
    """

    def __init__(
        self, app: Any = None, *, config: str | os.PathLike[str] | None = None, **options: Any
    ) -> None:
        self._starting = threading.Lock()
        self._run: Run | None = None
        self._addresses: tuple[str, ...] = ()
        self._listeners: list[Listener] = []
        self._reporter: Reporter | None = None
        with explained():
            told = read(app, config, options)
            self._settings, self._site = told.settings, told.site
            self._application = self._load(app)

    def _load(self, app: Any) -> Application:
        options, function = self._settings.app, self._settings.function
        main = None
        if app is not None and not isinstance(app, str):
            main = adopt(app, factory=options.factory, interface=options.interface, function=function)
        elif not options.app:
            raise UsageError("no application is given", "portway.Server(app), or its name.")
        if self._site is not None and self._site.has_mounts:
            from portway.site.mounts import load_site

            return load_site(self._site, options, function, self._upstream_failed, main)
        return main or load(
            options.app, factory=options.factory, interface=options.interface, function=function
        )

    def _upstream_failed(self, text: str) -> None:
        if self._reporter is not None:
            self._reporter.upstream_failed(text)

    # -- life --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen and serve, in threads of the server's own. Returns when requests are answered.

        Raises:
            UsageError: It runs already.
            BindError: An address cannot be listened on.
            StartupFailed: The application's lifespan refuses to start. Nothing is left behind.
        """
        with self._start() as lent:
            asgi = self._application.interface == "asgi"
            self._run = OwnLoopRun(lent) if asgi else ThreadedRun(lent)

    def stop(self, grace_s: float | None = None, *, idle_s: float = 1.5) -> None:
        """Stop listening, finish what is under way, and return when all of it has ended. Idempotent.

        Not for a request of this very server, whose end it would wait for: that is what `end` is for.

        Args:
            grace_s: Seconds for requests under way, which are cut then; `graceful_timeout` by default.
                0 cuts them at once.
            idle_s: Seconds that a client which has just been answered may take for its next request.

        Raises:
            UsageError: Called in the event loop that serves.
        """
        run = self._run
        if run is None or run.wait(0):
            return
        self.end(grace_s, idle_s=idle_s)
        grace_s = self._settings.timeouts.graceful if grace_s is None else grace_s
        try:
            run.wait(grace_s + CLEAN_UP_S + _LATE_S)
        except KeyboardInterrupt:
            run.drain(0, 0)
            raise

    def end(self, grace_s: float | None = None, *, idle_s: float = 1.5) -> None:
        """Begin to stop, and return at once: for a request, a callback or a signal handler. Idempotent.

        Args:
            grace_s: See `stop`.
            idle_s: See `stop`.
        """
        run = self._run
        if run is not None:
            for listener in self._listeners:
                if not listener.closed:
                    listener.turn_away()  # else the close would reset who connects just now
            run.drain(self._settings.timeouts.graceful if grace_s is None else grace_s, idle_s)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the server has ended. Ctrl-C raises KeyboardInterrupt, as in any wait of a program.

        Args:
            timeout_s: Seconds to wait; None for as long as it takes.

        Returns:
            Whether it has.

        Raises:
            UsageError: Called in the event loop that serves.
        """
        run = self._run
        return run is None or run.wait(timeout_s)

    def run(self, *, signals: bool = False) -> None:
        """Serve until the server is ended, or Ctrl-C; then finish what is under way.

        Args:
            signals: Obey SIGTERM as Ctrl-C, as long as this lasts. Only in the main thread.

        Raises:
            UsageError: Signals are asked for in another thread.
            PortwayError: See `start`.
        """
        with _obeying(self) if signals else _nothing():
            try:
                self.start()
            except KeyboardInterrupt:  # it may have begun just then
                self.stop()
                return
            try:
                self.wait()
            except KeyboardInterrupt:
                pass  # it stops in order; another Ctrl-C ends that
            finally:
                self.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        if self._application.interface == "wsgi":
            await asyncio.to_thread(self.start)
            return self
        with self._start() as lent:
            run = LoopedRun(lent)
            await run.open()
            self._run = run
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        run = self._run
        if not isinstance(run, LoopedRun):
            await asyncio.to_thread(self.stop)
            return
        self.end()
        try:
            await asyncio.wait([run.ending])
        except asyncio.CancelledError:
            self.end(0)
            await asyncio.wait([run.ending])
            raise

    # -- what there is -----------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether it serves, or still finishes what was under way."""
        run = self._run
        return run is not None and not run.wait(0)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it listens, with the ports that the system chose: "http://127.0.0.1:40123", "unix:/run/x".

        Of the last start; empty before the first one.
        """
        return self._addresses

    @property
    def url(self) -> str:
        """The first of them that a client of HTTP on this machine takes.

        Raises:
            UsageError: It has not been started, or listens on Unix sockets only.
        """
        for address in self._addresses:
            if address.startswith("http"):
                return address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
        if self._addresses:
            raise UsageError("there is no URL for a Unix socket", "`addresses` has its path.")
        raise UsageError("a server has no URL before it is started", "with portway.Server(app) as server: …")

    @contextmanager
    def _start(self) -> Iterator[Lent]:
        with explained(), self._starting:
            if self.running:
                raise UsageError("the server runs already", "one Server is one server; make another one.")
            lent = self._open()
            living.enter(self)
            try:
                yield lent
            except BaseException:
                lent.give_back()
                raise

    def _open(self) -> Lent:
        settings = self._settings
        encryption = None
        log = ErrorLog(settings.log.errors, settings.log.level)
        access = open_access_log(settings, None)
        self._reporter = Reporter(log)
        if settings.tls.certfile:
            from portway.server.encryption import Encryption  # late: without a certificate nobody needs `ssl`

            encryption = Encryption(settings.tls, log)
        uid, gid = owner_of(settings.listen.uds_owner) if settings.listen.uds_owner else (KEEP, KEEP)
        listeners = listeners_of(settings, SocketFiles(settings.listen.uds_permissions, uid, gid))
        self._addresses = tuple(listener.url for listener in listeners)
        self._listeners = listeners

        def give_back() -> None:
            living.leave(self)
            for listener in listeners:
                listener.close()

        return Lent(self._application, settings, self._site, listeners, log, access, encryption, give_back)

    def forked(self) -> None:
        """Be no server. Called in each child: the parent's server must not hang on that process."""
        self._starting = threading.Lock()
        run, self._run = self._run, None
        if run is not None:
            run.abandon()
        for listener in self._listeners:
            listener.close()


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _obeying(server: Server) -> Iterator[None]:
    """Have SIGTERM end a server."""
    if threading.current_thread() is not threading.main_thread():
        raise UsageError("signals arrive in the main thread, and this is another one", "leave `signals` out.")

    def obey(number: int, frame: FrameType | None) -> None:
        server.end()

    before = signal.signal(signal.SIGTERM, obey)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
