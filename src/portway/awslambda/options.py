"""Every option of the handler, declared once: its default, its environment variable, its check.

On Lambda the environment is the configuration: `portway.awslambda.main` has no call to give an
option to. An argument of `handler()` wins over the environment, the environment over the default.
"""

from __future__ import annotations

import os

from .errors import BadSetting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def _one_of(*words: str) -> Callable[[str, object], str]:
    def check(name: str, value: object) -> str:
        if value not in words:
            raise BadSetting(name, value, f"must be one of {', '.join(words)}")
        return str(value)

    return check


def _flag(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("", "0", "false", "no", "off"):
        return False
    raise BadSetting(name, value, "must be on or off")


def _seconds(name: str, value: object) -> float:
    try:
        seconds = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds <= 900:
        raise BadSetting(name, value, "must be from 0 to 900 seconds")
    return seconds


def _mount(name: str, value: object) -> str | None:
    if value is None:
        return None
    path = str(value).rstrip("/")
    if path and not path.startswith("/"):
        raise BadSetting(name, value, 'must be empty or begin with "/"')
    return path


def _any(name: str, value: object) -> str:
    return str(value)


FIELDS: dict[str, tuple[str, Any, Callable[[str, object], Any]]] = {
    "app": ("PORTWAY_APP", "", _any),
    "factory": ("PORTWAY_FACTORY", False, _flag),
    "interface": ("PORTWAY_INTERFACE", "auto", _one_of("auto", "wsgi", "asgi")),
    "lifespan": ("PORTWAY_LIFESPAN", "auto", _one_of("auto", "on", "off")),
    "snapstart_lifespan": ("PORTWAY_SNAPSTART_LIFESPAN", "restore", _one_of("restore", "snapshot")),
    "root_path": ("PORTWAY_ROOT_PATH", None, _mount),
    "response_mode": ("PORTWAY_RESPONSE_MODE", "buffered", _one_of("buffered", "stream")),
    "compress": ("PORTWAY_COMPRESS", "fit", _one_of("fit", "off")),
    "deadline_margin": ("PORTWAY_DEADLINE_MARGIN", 0.5, _seconds),
    "id_headers": ("PORTWAY_ID_HEADERS", True, _flag),
    "access_log": ("PORTWAY_ACCESS_LOG", "off", _one_of("off", "-")),
    "websocket_path": ("PORTWAY_WEBSOCKET_PATH", "/", _any),
    "sigterm": ("PORTWAY_SIGTERM", "auto", _one_of("auto", "on", "off")),
}
"""Name → (environment variable, default, check). docs/lambda.md says what each does."""


class Options:
    """The handler's options, checked. Read only.

    Attributes:
        app: "module:attr" of the application, for `portway.awslambda.main`.
        factory: Whether `app` names a function that makes the application.
        interface: "auto", "wsgi" or "asgi".
        lifespan: "auto", "on" (a start-up that fails or is not understood is an error) or "off".
        snapstart_lifespan: With SnapStart, start up after every "restore", or once in the "snapshot".
        root_path: Where the application is mounted; None reads it from each event.
        response_mode: "buffered", or "stream" for Function URLs and REST APIs set up to stream.
        compress: "fit" compresses an answer that would otherwise be too large, "off" never.
        deadline_margin: Most seconds before Lambda's deadline at which a request is answered with 504.
        id_headers: Whether answers carry X-Request-Id and X-Amzn-Trace-Id.
        access_log: "-" writes one JSON line per request to standard output.
        websocket_path: The path that the connections of a WebSocket API have for the application.
        sigterm: Whether to ask Lambda for SIGTERM at shutdown; "auto" when a lifespan needs it.
    """

    __slots__ = tuple(FIELDS)

    app: str
    factory: bool
    interface: str
    lifespan: str
    snapstart_lifespan: str
    root_path: str | None
    response_mode: str
    compress: str
    deadline_margin: float
    id_headers: bool
    access_log: str
    websocket_path: str
    sigterm: str

    def __init__(self, given: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        """Check every option.

        Args:
            given: Arguments of `handler()`.
            environ: The process environment.

        Raises:
            BadSetting: A value that an option does not take, or an argument that is none.
        """
        for name in given:
            if name not in FIELDS:
                raise BadSetting("handler()", name, f"takes {', '.join(FIELDS)}")
        for name, (variable, default, check) in FIELDS.items():
            if name in given:
                setattr(self, name, check(name, given[name]))
            else:
                setattr(self, name, check(variable, environ.get(variable, default)))


def read(**given: Any) -> Options:
    """Return the options of this process."""
    return Options(given, os.environ)
