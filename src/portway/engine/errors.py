"""The engine's exceptions that Python code can meet."""

from __future__ import annotations


class Refused(Exception):
    """A request that the engine answers itself with `status` because of `why` (one line, no peer's bytes)."""

    def __init__(self, status: int, why: str) -> None:
        self.status = status
        self.why = why
        super().__init__(f"{status}: {why}")


class ClientDisconnected(OSError):
    """Raised by an ASGI `send` after the client is gone, as the ASGI specification asks (HTTP 2.4)."""


class BadResponse(ValueError):
    """An application's response that HTTP does not allow; the client got 500, nothing of it left."""


class RequestIncomplete(OSError):
    """Reading `wsgi.input` found that the client will not send the rest; `status` is what it is told."""

    def __init__(self, status: int, why: str) -> None:
        self.status = status
        super().__init__(why)


class RequestTimeout(BaseException):
    """Raised inside an application whose request took longer than `timeout`; the client has had its 504.

    No `Exception`, like `asyncio.CancelledError`: code that handles every error must not take it for one.
    """


class ResponseCut(Exception):
    """Raised by an ASGI application of Portway's own: the response breaks off here, which is no fault.

    The client sees a response that is not complete. What there is to say has been logged.
    """
