"""The function's handler: one event in, one answer out, and never an exception for the client's request.

What goes wrong on the way is answered in the source's own format (400, 413, 500, 504) and logged with
the request id. Only an event that belongs to nobody is an error of the invocation.
"""

from __future__ import annotations

import os
import time

from . import events, invocation, snapstart
from .errors import BadEvent, ReplyTooLarge, UnknownEvent
from .failures import failed, identify, malformed, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

    from .asgi import ASGI
    from .deadline import Watchdog
    from .environment import Environment
    from .events.reply import Reply
    from .events.request import Event, Request
    from .events.source import Source
    from .options import Options
    from .registry import Registry
    from .streaming import Stream
    from .websocket import Poster, Store
    from .wsgi import WSGI


class LambdaHandler:
    """What Lambda calls: `handler(event, context)`.

    One thread at a time. It starts the application up at the first event, or before when
    `start()` is called; every event finds the same application, event loop and lifespan.

    Attributes:
        options: The options, checked.
        rescue: Called from another thread when the application has not come back although it was
            interrupted, just before the invocation's deadline. Set by Portway's runtime client.
    """

    rescue: Callable[[], None] | None = None

    def __init__(
        self,
        app: Any,
        options: Options,
        poster: Poster | None = None,
        store: Store | None = None,
        registry: Registry | None = None,
    ) -> None:
        self.options = options
        self._app = app
        self._poster = poster
        self._store = store
        self._own_registry = registry
        self._environment: Environment | None = None
        self._driver: WSGI | ASGI | None = None
        self._watchdog: Watchdog | None = None
        self._ids = options.id_headers
        self._logs_access = options.access_log != "off"

    def __call__(self, event: Any, context: Any = None) -> Any:
        """Answer one event.

        Returns:
            The answer object of the event's source; for an event that is no request, what the function
            registered for it returned.

        Raises:
            UnknownEvent: The event belongs to nobody.
        """
        name = events.detect(event)
        if not name or name == "websocket":
            return self._other(name, event, context)
        source = events.sources.get(name) or events.source_of(name)
        invocation.context = context
        started = time.perf_counter() if self._logs_access else 0.0
        driver = self._driver or self._ready()
        try:
            request = source.request(event, self.options.root_path)
            prepared = driver.prepared(request, context)
        except (BadEvent, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            request = source.refused(event)
            reply = malformed(source.name, error)
        else:
            reply = self._reply(driver, request, prepared, context)
        if len(reply.body) < source.surely_fits:
            answer: Any = source.answer(request, reply)
        else:
            answer = self._fitting(source, request, reply)
        if self._logs_access:
            self._log_access(request, reply, started)
        invocation.context = None
        return answer

    def streams(self, event: Any) -> bool:
        """Tell whether this event's answer is to be streamed (see `stream`)."""
        if self.options.response_mode != "stream":
            return False
        name = events.detect(event)
        return name in ("function-url", "rest-api") and events.source_of(name).streams

    def stream(self, event: Any, context: Any, opened: Callable[[Source, Request], Stream]) -> None:
        """Answer one event piece by piece. Called by Portway's runtime client when `streams` says so.

        Args:
            event: The event.
            context: Lambda's context object.
            opened: Makes the stream of this invocation; nothing leaves before its `start`.
        """
        from .streaming import answer

        invocation.context = context
        source = events.source_of(events.detect(event))
        answer(self._driver or self._ready(), self._watchdog, self.options, source, event, context, opened)
        invocation.context = None

    def start(self) -> None:
        """Start the application up now instead of at the first event. Idempotent."""
        self._ready()

    def close(self) -> None:
        """Shut the application down and close its loop. For tests and tools: on Lambda SIGTERM does it."""
        environment, self._environment, self._driver = self._environment, None, None
        if environment is not None:
            environment.close()

    def on(self, kind: str, **match: str) -> Callable[[F], F]:
        """Register a function for events that are no requests; see `registry.Registry.on`."""
        return self._registry().on(kind, **match)

    def _registry(self) -> Registry:
        """Return this handler's registry: the process's one, unless it was given its own."""
        if self._own_registry is None:
            from .registry import registry

            self._own_registry = registry
        return self._own_registry

    def _ready(self) -> WSGI | ASGI:
        driver = self._driver
        if driver is None:
            from .environment import Environment

            environment = Environment(self._app, self.options, self._poster, self._store)
            try:
                environment.start()
            except BaseException:
                environment.close()  # the next event tries again, from the beginning
                raise
            self._environment = environment
            if self.options.response_mode == "stream" and not snapstart.own_runtime:
                self._warn_of_buffering()
            self._watchdog = environment.watchdog
            if self._watchdog is not None:
                self._watchdog.stuck = self._stuck
            driver = self._driver = environment.driver
        return driver

    def _warn_of_buffering(self) -> None:
        from .logs import notice

        notice(
            "buffered",
            "PORTWAY_RESPONSE_MODE is stream, but Lambda's own runtime client cannot stream: answers are "
            "buffered, and a front door that expects a stream shows their JSON to the client; set "
            "AWS_LAMBDA_EXEC_WRAPPER=/var/task/portway/awslambda/exec-wrapper",
        )

    def _stuck(self) -> None:
        rescue = self.rescue
        if rescue is not None:
            rescue()

    def late_answer(self, event: Event) -> Any:
        """Return the answer object for an event whose application cannot even be interrupted (504)."""
        name = events.detect(event)
        if not name or name == "websocket":
            return {"statusCode": 504}
        source = events.source_of(name)
        return source.answer(source.refused(event), plain(504, "Gateway Timeout\n"))

    def _reply(self, driver: Any, request: Request, prepared: dict[str, Any], context: Any) -> Reply:
        """Run the application under the invocation's deadline and return an answer whatever it does."""
        watchdog = self._watchdog
        reply: Reply
        if watchdog is None or context is None:
            try:
                reply = driver.call(request, prepared)
            except BaseException as error:
                reply = failed(error, False)
        else:
            late = False
            try:
                watchdog.arm(context.get_remaining_time_in_millis())
                try:
                    reply = driver.call(request, prepared)
                finally:
                    watchdog.deadline = 0.0
                    late = watchdog.fired and watchdog.disarm()
            except BaseException as error:
                reply = failed(error, late)
        if invocation.forked:
            os._exit(70)  # a child the application forked must not answer as well
        if self._ids:
            identify(request, reply, context)
        return reply

    def _fitting(self, source: Source, request: Request, reply: Reply) -> Any:
        """Return the answer object, made to fit the source's limit or replaced by an error that names it."""
        from .limits import fitted

        try:
            return fitted(source, request, reply, self.options.compress != "off")
        except ReplyTooLarge as error:
            from .logs import error as log

            log(f"the answer to {request.method} {request.raw_path!r} was not sent: {error}", exc_info=False)
            return source.answer(request, plain(500, error.public))

    def _log_access(self, request: Request, reply: Reply, started: float) -> None:
        from .logs import access

        access(request, reply, time.perf_counter() - started)

    def _other(self, name: str, event: Event, context: Any) -> Any:
        """Answer an event that is no request: a WebSocket's, or one that a function is registered for."""
        invocation.context = context
        try:
            if name:
                return self._websocket(event, context)
            function = self._registry().find(event)
            if function is None:
                raise UnknownEvent(event)
            return self._called(function, event, context)
        finally:
            if invocation.forked:
                os._exit(70)  # a child of the application's: its parent answers
            invocation.context = None

    def _websocket(self, event: Event, context: Any) -> Any:
        self._ready()
        assert self._environment is not None
        watchdog = self._watchdog
        if watchdog is None or context is None:
            return self._environment.websockets().handle(event, context)
        late = False
        try:
            watchdog.arm(context.get_remaining_time_in_millis())
            try:
                return self._environment.websockets().handle(event, context)
            finally:
                late = watchdog.disarm()
        except BaseException as error:
            return {"statusCode": failed(error, late).status}

    def _called(self, function: Any, event: Event, context: Any) -> Any:
        import inspect

        result = function(event, context)
        if inspect.iscoroutine(result):
            self._ready()
            assert self._environment is not None
            return self._environment.loop().run(result)
        return result
