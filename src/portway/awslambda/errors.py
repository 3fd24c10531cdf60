"""What the Lambda room raises on purpose.

    LambdaError
    ├── UnknownEvent        an event of no shape known here, and no function registered for it
    ├── BadEvent            an event of a known source with a field missing or of the wrong type
    │   └── BadBody         its body cannot be decoded (the client gets 400)
    ├── BodyTruncated       CloudFront cut the body before it reached the function (the client gets 413)
    ├── BadReply            the application's answer cannot be sent as it stands (500)
    │   └── ReplyTooLarge   over the limit of the service that carries it
    ├── BadSetting          an option or an environment variable of the function
    ├── AppFailed           the application cannot be loaded, or refused to start
    ├── DeadlineExceeded    the invocation's time is up (raised inside the application; 504)
    └── RuntimeAPIError     the Runtime API answered what its documentation does not allow

The tree stands beside `portway.errors` and not inside it: a cold start pays for every import, and
this room brings nothing but the standard library's own start-up modules.
"""

from __future__ import annotations

_SHOWN = 120


def shown(value: object) -> str:
    """Return `repr(value)` cut to a length that fits on a log line."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


class LambdaError(Exception):
    """Base of everything this room raises on purpose.

    Args:
        text: What went wrong, lowercase, one line.
        hint: What the user can do about it, or None.
    """

    def __init__(self, text: str, hint: str | None = None) -> None:
        super().__init__(text)
        self.hint = hint


class UnknownEvent(LambdaError):
    """An event of no shape known here, and no function registered for it."""

    def __init__(self, event: object) -> None:
        keys = sorted(map(str, event)) if isinstance(event, dict) else type(event).__name__
        super().__init__(
            f"no front door or registered function takes this event: {shown(keys)}",
            "register a function for it: @portway.awslambda.on('sqs'), or @portway.awslambda.on('*')",
        )


class BadEvent(LambdaError):
    """An event of a known source that cannot be translated.

    Args:
        source: The source it was taken for, "http-api" for example.
        problem: The field and what is wrong with it.
    """

    status = 400

    def __init__(self, source: str, problem: str) -> None:
        self.source = source
        self.problem = problem
        super().__init__(f"malformed {source} event: {problem}")


class BadBody(BadEvent):
    """The body of an event is not what `isBase64Encoded` says, or not text."""


class BodyTruncated(BadEvent):
    """CloudFront hands on only the start of a large body: 40 KB to a viewer function, 1 MB to an origin's."""

    status = 413


class BadReply(LambdaError):
    """The application's answer cannot be sent: a header with a line break, a bad status, a wrong length."""

    public = "Internal Server Error"


class ReplyTooLarge(BadReply):
    """The answer is larger than the service carries.

    Args:
        size: Bytes of the answer, as Lambda counts them.
        limit: Most bytes the service takes.
        service: The service's name, "Application Load Balancer" for example.
    """

    def __init__(self, size: int, limit: int, service: str) -> None:
        self.size = size
        self.limit = limit
        text = f"the answer has {size} bytes, the limit of {service} is {limit}"
        self.public = f"Internal Server Error: {text}\n"
        super().__init__(
            text,
            "stream it (PORTWAY_RESPONSE_MODE=stream behind a Function URL or a REST API), "
            "or answer with a redirect to a file in S3",
        )


class BadSetting(LambdaError):
    """An option of the handler, or an environment variable of the function."""

    def __init__(self, name: str, value: object, problem: str) -> None:
        self.name = name
        super().__init__(f"{name} {problem}, not {shown(value)}")


class AppFailed(LambdaError):
    """The application cannot be loaded, or refused to start."""


class DeadlineExceeded(BaseException):
    """The invocation's time is up. No Exception: an application's `except Exception` lets it pass."""


class RuntimeAPIError(LambdaError):
    """The Runtime API answered what its documentation does not allow.

    Args:
        operation: The call, "GET /runtime/invocation/next" for example.
        status: The status it answered, or 0 when it did not answer.
        body: The start of what it said.
    """

    def __init__(self, operation: str, status: int, body: bytes | str) -> None:
        self.operation = operation
        self.status = status
        super().__init__(f"the Runtime API answered {operation} with {status or 'nothing'}: {shown(body)}")
