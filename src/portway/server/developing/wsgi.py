"""A WSGI application with `portway dev` around it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from portway.apps.importing import own_traceback
from portway.server.developing.answers import Answer, failed_answer, own_answer
from portway.server.developing.bulletin import Development
from portway.server.developing.visitors import Visitor, from_environ
from portway.server.reporter import Reporter

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class DevelopingWSGI:
    """Answers pages itself while the newest version is broken; shows what the application raises.

    Whoever is not local meets the application alone.

    Args:
        app: The application.
        development: The worker's.
        generation: The worker's.
        reporter: Where failures are told.
    """

    def __init__(self, app: App, development: Development, generation: int, reporter: Reporter) -> None:
        self._app = app
        self._development = development
        self._generation = generation
        self._reporter = reporter

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        visitor = from_environ(environ)
        if not visitor.is_local:
            return self._app(environ, start_response)
        own = own_answer(visitor, self._development, self._generation)
        if own is not None:
            return _respond(own, visitor, start_response)
        try:
            result = self._app(environ, start_response)
        except Exception as error:
            return self._failed(error, visitor, start_response)
        if isinstance(result, list | tuple) or not hasattr(result, "__next__"):
            return result  # nothing of the application's own runs while it is sent, or not before `iter`
        return _Watched(result, lambda error: self._failed(error, visitor, start_response))

    def _failed(
        self, error: Exception, visitor: Visitor, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        text = own_traceback(error)
        answer = failed_answer(visitor, error, text, self._development)
        # Raises the error itself when the response has begun: then the engine does what it does for others.
        result = _respond(answer, visitor, start_response, sys.exc_info())
        self._reporter.application_error(error, visitor.request)
        return result


def _respond(
    answer: Answer, visitor: Visitor, start_response: Callable[..., Any], exc_info: Any = None
) -> list[bytes]:
    if exc_info:
        start_response(answer.status, answer.fields, exc_info)
    else:
        start_response(answer.status, answer.fields)
    return [b"" if visitor.method == "HEAD" else answer.body]


class _Watched:
    """The pieces of a response, of which the making may still fail.

    Args:
        result: What the application returned, an iterator.
        failed: Returns what is sent instead, while the response has not begun.
    """

    def __init__(self, result: Iterable[bytes], failed: Callable[[Exception], Iterable[bytes]]) -> None:
        self._result = result
        self._failed = failed

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._result
        except Exception as error:
            yield from self._failed(error)

    def close(self) -> None:
        close = getattr(self._result, "close", None)
        if close is not None:
            close()
