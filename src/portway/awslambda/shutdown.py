"""SIGTERM before the environment goes away, so that a lifespan can end.

Lambda sends the signal only to functions that have an extension, and then allows half a second. An
internal one costs nothing but a registration: it asks for no events and sleeps in one open request
(Lambda Extensions API, 2020-01-01).
"""

from __future__ import annotations

import os
import signal
import sys

from . import invocation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_NAME = "portway"


def at_sigterm(function: Callable[[], None], *, ask: bool) -> None:
    """Call `function` once when the environment is about to end, then exit.

    Args:
        function: What to do; it has half a second.
        ask: Whether to register the extension that makes Lambda send the signal.
    """
    import threading

    if threading.current_thread() is not threading.main_thread():
        return
    pid = os.getpid()

    def stopped(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        invocation.ending = True  # whatever the exit below interrupts takes it for the application's
        if os.getpid() == pid:
            function()
        sys.exit(0)

    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, stopped)
        address = os.environ.get("AWS_LAMBDA_RUNTIME_API")
        if ask and address:
            _register(address)


def _register(address: str) -> None:
    """Register an internal extension; a failure costs the signal, not the function."""
    from http.client import HTTPConnection, HTTPException

    try:
        connection = HTTPConnection(address, timeout=2)
        connection.request(
            "POST", "/2020-01-01/extension/register", b'{"events":[]}', {"Lambda-Extension-Name": _NAME}
        )
        response = connection.getresponse()
        problem = response.read()
        identifier = response.getheader("Lambda-Extension-Identifier")
        if response.status == 403 and b"Extension.InvalidExtensionState" in problem:
            return  # another process of this multi-concurrency environment has registered for all of them
        if response.status != 200 or not identifier:
            raise HTTPException(f"status {response.status}")
    except (OSError, HTTPException) as error:
        from .logs import notice

        notice("extension", f"no extension could be registered, so Lambda will not send SIGTERM: {error}")
        return
    _idle(connection, identifier)


def _idle(connection: object, identifier: str) -> None:
    """Hold the request that says the extension is ready; the environment is initialised once it is open."""
    from http.client import HTTPConnection, HTTPException

    from .threads import start

    assert isinstance(connection, HTTPConnection)

    def wait() -> None:
        try:
            connection.timeout = None
            if connection.sock is not None:
                connection.sock.settimeout(None)
            connection.request(
                "GET", "/2020-01-01/extension/event/next", headers={"Lambda-Extension-Identifier": identifier}
            )
            connection.getresponse().read()
        except (OSError, HTTPException):
            return  # the environment is going away

    start(wait, "portway-extension")
