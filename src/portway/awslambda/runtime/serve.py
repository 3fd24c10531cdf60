"""The loop of a function: initialise, then fetch and answer events until the environment ends.

An event whose handling fails, exits or cannot be read is reported, and the loop goes on. What cannot
go on is a function that cannot be initialised, and a Runtime API that no longer answers.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Iterator
from functools import partial

from .. import invocation, snapstart
from ..adapter import LambdaHandler
from ..errors import LambdaError, ReplyTooLarge, RuntimeAPIError
from ..events.source import BUFFERED_LIMIT
from ..loading import is_function, load
from ..logs import error as log
from .api import RuntimeAPI
from .context import Context
from .logging import set_up
from .report import error_report, xray_cause
from .stream import ResponseStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .api import Invocation

EXIT_INIT = 1
EXIT_SNAPSHOT = 64
EXIT_RESTORE = 65


class BadResult(LambdaError):
    """What the function returned is not JSON, bytes or an iterator of bytes."""


def run(target: str) -> None:
    """Serve a function until the environment ends. Never returns normally.

    Args:
        target: What `loading.load` takes: a Lambda handler, or a WSGI or ASGI application.

    Raises:
        SystemExit: The function cannot be initialised, or the Runtime API is gone.
    """
    set_up(os.environ)
    api = RuntimeAPI(os.environ["AWS_LAMBDA_RUNTIME_API"])
    snapstart.own_runtime = True
    try:
        function = callable_of(load(target))
    except BaseException as error:
        log(f"the function {target!r} cannot be initialised", exc_info=True)
        api.init_failed(error_report(error))
        raise SystemExit(EXIT_INIT) from None
    if snapstart.snapping():
        _snapshot(api)
    serve(api, function)


def callable_of(found: Any) -> Callable[[Any, Any], Any]:
    """Return a Lambda function for what was loaded: itself, or a handler for an application."""
    if not isinstance(found, LambdaHandler) and not is_function(found):
        from .. import handler

        found = handler(found)
    if isinstance(found, LambdaHandler):
        found.start()
    return found  # type: ignore[no-any-return]


def _snapshot(api: RuntimeAPI) -> None:
    try:
        snapstart.run_before()
    except BaseException as error:
        log("a hook of the snapshot failed")
        api.init_failed({**error_report(error), "errorType": "Runtime.BeforeSnapshotError"})
        raise SystemExit(EXIT_SNAPSHOT) from None
    api.restore_next()
    try:
        snapstart.run_after()
    except BaseException as error:
        log("a hook of the restore failed")
        api.restore_failed({**error_report(error), "errorType": "Runtime.AfterRestoreError"})
        raise SystemExit(EXIT_RESTORE) from None


def serve(api: RuntimeAPI, function: Callable[[Any, Any], Any]) -> None:
    """Fetch and answer events for ever.

    Raises:
        SystemExit: The Runtime API is gone, or SIGTERM came in the middle of an event.
    """
    while not invocation.ending:
        try:
            given = api.next()
        except RuntimeAPIError as error:
            log(str(error), exc_info=False)
            raise SystemExit(EXIT_INIT) from None
        try:
            _answer(api, function, given)
        except RuntimeAPIError as error:
            log(f"the answer was not taken: {error}", exc_info=False)
            api.close()
        finally:
            invocation.context = None
    raise SystemExit(0)


def _answer(api: RuntimeAPI, function: Callable[[Any, Any], Any], given: Invocation) -> None:
    """Handle one event and post what comes of it."""
    trace = given.headers.get("lambda-runtime-trace-id")
    if trace is None:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
    else:
        os.environ["_X_AMZN_TRACE_ID"] = trace
    try:
        context = invocation.context = Context(given)
        event = json.loads(given.body) if given.content_type.startswith("application/json") else given.body
        if isinstance(function, LambdaHandler) and function.streams(event):
            function.stream(
                event, context, lambda source, request: ResponseStream(api.address, given.request_id)
            )
            return
        if isinstance(function, LambdaHandler):
            function.rescue = partial(_rescue, function, api.address, given.request_id, event)
        result = function(event, context)
        _only_parent()
        if inspect.iscoroutine(result):
            result = _awaited(result)
        if isinstance(result, Iterator):
            _stream(api, given.request_id, result)
            return
        _only_parent()
        answer, content_type = encoded(result)
    except RuntimeAPIError:
        raise
    except BaseException as error:
        _report(api, given.request_id, error)
        return
    _respond(api, given.request_id, answer, content_type)


def _only_parent() -> None:
    """End a child that the function forked and that came back from it: the parent answers."""
    if invocation.forked:
        os._exit(70)


def _rescue(function: LambdaHandler, address: str, request_id: str, event: Any) -> None:
    """Answer in place of an application that hangs where no signal reaches it. Runs in another thread.

    The client gets its 504; the environment is lost, because Lambda ends it at the deadline.
    """
    log("the application cannot be interrupted; Lambda will end this environment", exc_info=False)
    try:
        RuntimeAPI(address).respond(request_id, encoded(function.late_answer(event))[0])
    except RuntimeAPIError as error:
        log(str(error), exc_info=False)


def _respond(api: RuntimeAPI, request_id: str, answer: bytes, content_type: str) -> None:
    try:
        api.respond(request_id, answer, content_type)
    except RuntimeAPIError as error:
        if error.status != 413:
            raise
        # Lambda takes no answer of this size; say so by name instead of leaving the client without one.
        _report(api, request_id, ReplyTooLarge(len(answer), BUFFERED_LIMIT, "AWS Lambda"))


def _report(api: RuntimeAPI, request_id: str, error: BaseException) -> None:
    _only_parent()
    if isinstance(error, KeyboardInterrupt):
        raise error
    log("the invocation failed")
    api.fail(request_id, error_report(error, request_id), xray_cause(error))


def encoded(result: Any) -> tuple[bytes, str]:
    """Return a function's result as the Runtime API takes it, and its media type.

    Raises:
        BadResult: It is not JSON.
    """
    if isinstance(result, bytes):
        return result, "application/octet-stream"
    try:
        try:
            return json.dumps(result, ensure_ascii=False, default=_default).encode(), "application/json"
        except UnicodeEncodeError:  # half of a surrogate pair: JSON can escape what UTF-8 cannot hold
            return json.dumps(result, default=_default).encode(), "application/json"
    except (TypeError, ValueError, RecursionError) as error:
        raise BadResult(f"the function's result cannot be written as JSON: {error}") from None


def _default(value: Any) -> Any:
    """Write DynamoDB's numbers, as Lambda's own client does."""
    if type(value).__name__ == "Decimal":
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"an object of type {type(value).__name__}")


def _stream(api: RuntimeAPI, request_id: str, pieces: Iterator[Any]) -> None:
    """Stream what a plain function yields: bytes or text, passed on as they come."""
    stream = ResponseStream(api.address, request_id)
    stream.open("application/octet-stream")
    try:
        for piece in pieces:
            _only_parent()
            stream.send(piece.encode() if isinstance(piece, str) else piece)
        _only_parent()
    except BaseException as error:
        _only_parent()
        log("the function failed while its answer was streamed")
        stream.end(error)
        return
    stream.end()


_loop: Any = None


def _awaited(coroutine: Any) -> Any:
    """Run an async function's coroutine on a loop that is kept for the next one."""
    global _loop
    if _loop is None:
        from ..loop import Loop

        _loop = Loop()
    return _loop.run(coroutine)


def main(arguments: list[str]) -> None:
    """Run `python -m portway.awslambda [APP]`.

    Args:
        arguments: What stands after the module's name. Without an argument the function's handler
            setting says what to run, and PORTWAY_APP when there is none.
    """
    target = arguments[0] if arguments else os.environ.get("_HANDLER") or os.environ.get("PORTWAY_APP", "")
    if "AWS_LAMBDA_RUNTIME_API" not in os.environ or not target:
        missing = "AWS_LAMBDA_RUNTIME_API is not set" if target else "no application is named"
        sys.stderr.write(f"error: {missing}\n\nhint: this is the entry point of a Lambda function or image\n")
        raise SystemExit(EXIT_INIT)
    most = os.environ.get("AWS_LAMBDA_MAX_CONCURRENCY", "")
    if most.isdigit() and int(most) > 0:
        from .workers import supervise

        supervise(int(most), lambda: run(target))
    run(target)
