"""An ASGI application between checks of every message and every scope against the ASGI specification.

The variable VALIDATED names it: "engine" (the fixture application), "api" or "django" (the examples).
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path
from typing import Any

from tests.engine.apps.asgi_base import Message, Receive, Send

EXAMPLES = Path(__file__).parent.parent.parent.parent / "examples"

# Type of each key of the http scope.
SCOPE: dict[str, type | tuple[type, ...]] = {
    "type": str,
    "asgi": dict,
    "http_version": str,
    "method": str,
    "scheme": str,
    "path": str,
    "raw_path": bytes,
    "query_string": bytes,
    "root_path": str,
    "headers": list,
    "client": (tuple, list, type(None)),
    "server": (tuple, list, type(None)),
    "extensions": dict,
    "state": dict,
}


def chosen() -> Any:
    """Return the application that was asked for."""
    match os.environ["VALIDATED"]:
        case "api":
            return runpy.run_path(str(EXAMPLES / "api" / "app.py"))["app"]
        case "django":
            sys.path.insert(0, str(EXAMPLES / "django"))
            os.chdir(EXAMPLES / "django")
            return runpy.run_path(str(EXAMPLES / "django" / "harbour" / "asgi.py"))["application"]
    from tests.engine.apps.asgi_app import app as found

    return found


def check_scope(scope: Message) -> None:
    """Check an http scope."""
    assert type(scope) is dict
    assert set(scope) - {"state"} == set(SCOPE) - {"state"}, sorted(scope)
    for key, value in scope.items():
        assert isinstance(value, SCOPE[key]), (key, value)
    assert scope["method"] == scope["method"].upper()
    assert scope["http_version"] in ("1.0", "1.1")
    assert b"?" not in scope["raw_path"]
    for name, value in scope["headers"]:
        assert (type(name), type(value), name) == (bytes, bytes, name.lower())


class Checked:
    """The messages of one request, looked at as they pass.

    Args:
        receive: The server's.
        send: The server's.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._body_over = False
        self._stage = "start"

    async def receive(self) -> Message:
        """Check what the server says."""
        message = await self._receive()
        assert type(message) is dict
        if message["type"] == "http.request":
            assert not self._body_over, "http.request after the end of the body"
            assert (type(message["body"]), type(message["more_body"])) == (bytes, bool), message
            self._body_over = not message["more_body"]
        else:
            assert message == {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        """Check what the server makes of it: the return value is None, and the message unchanged."""
        before = dict(message)
        returned: Any = await self._send(message)  # type: ignore[func-returns-value] # that is what is tested
        assert returned is None
        assert message == before


application = chosen()


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Serve one request, or the lifespan, between the checks."""
    if scope["type"] != "http":
        await application(scope, receive, send)
        return
    check_scope(scope)
    checked = Checked(receive, send)
    await application(scope, checked.receive, checked.send)
